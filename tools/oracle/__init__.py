"""CrewAI's own test suite as the judge: the same tests without and with the accelerator.

    python tools/oracle run --crewai 1.15.30 --accel off --subset fast --out off.json
    python tools/oracle run --crewai 1.15.30 --accel on --subset fast --out on.json
    python tools/oracle diff off.json on.json --rerun 2   exit 1 if a test ended worse or is missing
    python tools/oracle matrix                            every version of matrix.toml; hours
    python tools/oracle report                            docs/compatibility.md from what was kept
    python tools/oracle run … --accel wrong               a route wrong on purpose: diff must fail
    python tools/oracle select full-on.json               choose fast_set.txt anew

A run downloads the version's source distribution and makes an environment with this project's
wheel, once, below ``--work`` (default: the user's cache folder). Nothing of CrewAI is kept in the
repository. ``fast`` and ``runtime`` are the lists beside this file, ``full`` is the whole suite.

    cli → session → suite, environment → toolbox      what is needed is there
                  → subsets, batches, runner          interpreters with plugins/oracle_recorder
                  → results                           one JSON file for each side
        → comparison, verdicts, judgement             what differs, and whether it is our fault
        → earlier, table                              the report
"""
