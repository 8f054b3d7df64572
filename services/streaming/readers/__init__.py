"""Who reads a run: from the log to one reader, and who is there."""
