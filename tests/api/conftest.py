"""The public classes' tests never assert on time."""

import os

from hypothesis import settings

if "CI" not in os.environ:
    settings.register_profile("api", deadline=None)
    settings.load_profile("api")
