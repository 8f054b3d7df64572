"""Figures, not verdicts: `make bench` prints them and keeps the last run in RESULTS.md."""
