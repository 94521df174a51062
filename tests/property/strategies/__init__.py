"""What the property tests generate. Nothing here imports CrewAI at module level but `flows`."""
