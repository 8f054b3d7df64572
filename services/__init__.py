"""Everything behind a function: the streaming facade and the services it walks through."""
