"""Routing of CrewAI's functions: finder → registry → areas → dispatch → ``_core``."""
