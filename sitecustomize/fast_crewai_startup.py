# Written by `fast-crewai enable`, removed by `fast-crewai disable`; survives `pip uninstall`.
def start() -> None:
    try:
        from fast_crewai import finder
    except Exception:  # uninstalled or broken: nothing to turn on
        return
    finder.start()
