"""The routes, one file per area of CrewAI. An area imports CrewAI only when a route is applied."""
