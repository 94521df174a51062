"""The short form of tests/threads.py: eight threads on each public class."""

import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).parents[1] / "threads.py"


def test_eight_threads_and_two_hash_seeds() -> None:
    command = [sys.executable, str(COMMAND), "--operations", "1600", "--seeds", "0", "random"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "the same" in ended.stdout
