"""The run log in one SQLite file."""
