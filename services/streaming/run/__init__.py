"""One run, from the events of its producer into its log."""
