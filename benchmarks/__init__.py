"""Figures, not verdicts: `make bench` prints them and keeps the last run in RESULTS.md."""

import os

# A process that may not keep its bytecode compiles what has changed at every start, and a cold
# start on Lambda never does: its package has the bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
