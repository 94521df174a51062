"""``python tools/oracle``: see ``cli``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # the package, not the files in it

from oracle.cli import main  # noqa: E402

main()
