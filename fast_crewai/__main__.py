"""``python -m fast_crewai``."""

from __future__ import annotations

import os
import sys

try:
    _working_directory = os.getcwd()
except OSError:  # removed: then Python has put nothing first
    _working_directory = ""
if sys.path and sys.path[0] in ("", _working_directory) and not getattr(sys.flags, "safe_path", 0):
    # `-m` puts the working directory first: a user's rich.py there must not become ours.
    del sys.path[0]

from fast_crewai.cli import main

if __name__ == "__main__":
    sys.exit(main(prog_name="python -m fast_crewai"))
