"""The readers of a run: from its log to one reader, and which readers there are."""
