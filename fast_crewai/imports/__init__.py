"""What makes the import of CrewAI itself cheaper; CrewAI's functions are not touched here."""
