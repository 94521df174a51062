"""`python tools/compat`: see the package's docstring."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # the folder above: `compat` is a package

from compat.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
