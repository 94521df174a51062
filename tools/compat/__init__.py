"""End-to-end programs (`tests/programs`) without and with the accelerator: is there a difference?

python tools/compat run                         all programs, in this environment
python tools/compat run --only flow_routes …    some of them
python tools/compat run --crewai 1.9.3          in an environment made for that version
python tools/compat run --off-off               is each program deterministic by itself?
python tools/compat matrix                      on every version of the oracle's matrix.toml
python tools/compat imports --crewai 1.9.3 …    which parts of its import are accelerated
python tools/compat list                        the programs, and what they work with
"""
