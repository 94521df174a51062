"""A fixed small part of tests/stress.py."""

import os
import subprocess
import sys
from pathlib import Path

STRESS = Path(__file__).parent.parent / "stress.py"


def test_crews_at_once_end_as_alone():
    command = [sys.executable, str(STRESS), "--crews", "60", "--repetitions", "3"]
    environment = {**os.environ, "FAST_CREWAI": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("60 crews as alone") == 3
    assert "RuntimeError" in done.stdout and "all done" in done.stdout
