"""What this package keeps on purpose: the entry point `pytest_leakguard.rules` names this list."""

RULES = [
    "thread:origin=mydb/reaper.py:Reaper.start -- one thread for the whole process, a daemon",
]
