"""Messages between agents, as JSON."""

from __future__ import annotations

from fast_crewai.serialization.message import AcceleratedMessage, AgentMessage
from fast_crewai.serialization.serializer import RustSerializer

__all__ = ["AcceleratedMessage", "AgentMessage", "RustSerializer"]
