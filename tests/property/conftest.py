"""CrewAI is imported once, quietly, before the tests that compare with it."""

import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))  # model_server

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CrewAI's own imports warn
    import crewai
    import crewai.memory.encoding_flow
    import crewai.memory.recall_flow
    import crewai.memory.storage.lancedb_storage  # noqa: F401
