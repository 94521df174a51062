"""Copied beside CrewAI's tests as their conftest.py: what they need to run alone and offline.

It imports nothing of CrewAI: the accelerator is installed before CrewAI's first import.
"""

from oracle_cassettes import (  # noqa: F401
    pytest_configure,
    pytest_recording_configure,
    vcr_cassette_dir,
    vcr_config,
)
from oracle_isolation import (  # noqa: F401
    clean_events,
    private_environment,
    pytest_unconfigure,
)
