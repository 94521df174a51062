"""``import fast_crewai.shim`` turns the accelerator on, as upstream's package does.

The same routes as ``fast_crewai.install()``; import it before CrewAI.
"""

from __future__ import annotations

import sys

import fast_crewai


def enable_acceleration(verbose: bool = False) -> bool:
    """Turn the accelerator on in this process; whether it is on now.

    ``verbose``: print the state of the components on stderr. Never raises: without CrewAI, or
    with an unknown name in ``FAST_CREWAI_DISABLE``, it says so there.
    """
    try:
        status = fast_crewai.install()
        if verbose:
            from fast_crewai.tables import print_status

            print_status(status, sys.stderr)
        return status.enabled
    except Exception as error:
        if verbose:
            print(f"fast_crewai: not enabled: {error}", file=sys.stderr)
        return False


def disable_acceleration() -> bool:
    """Put all of CrewAI's functions back; whether the accelerator is off now."""
    fast_crewai.uninstall()
    return not fast_crewai.enabled()


enable_acceleration()
