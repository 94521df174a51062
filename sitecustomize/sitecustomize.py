# First on PYTHONPATH of what `python -m fast_crewai run` starts: turns the accelerator on, then
# makes way for the sitecustomize that Python would have found without us.
# Any Python may inherit PYTHONPATH, so this file is plain enough for all of them, and silent.
import sys

_here = __file__.replace("\\", "/").rpartition("/")[0]
sys.path[:] = [entry for entry in sys.path if entry.replace("\\", "/") != _here]

try:
    from fast_crewai import session
except Exception:  # another Python, without fast_crewai: nothing to turn on
    pass
else:
    session.start()

# If there is no other sitecustomize, this ImportError tells site.py just that.
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401
