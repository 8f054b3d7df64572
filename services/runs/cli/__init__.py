"""The command `python -m services.runs.cli`: runs for the terminal."""
