"""The index on disk: what it says of itself, how it is written, opened and searched."""
