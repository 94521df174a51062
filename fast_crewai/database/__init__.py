"""CrewAI's long-term memories in SQLite, with a full-text index."""

from __future__ import annotations

from fast_crewai.database.wrapper import AcceleratedSQLiteWrapper

__all__ = ["AcceleratedSQLiteWrapper"]
