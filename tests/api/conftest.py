"""The public classes' tests never assert on time."""

import os

from hypothesis import settings

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

if "CI" not in os.environ:
    settings.register_profile("api", deadline=None)
    settings.load_profile("api")
