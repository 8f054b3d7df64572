"""The same handlers for every runtime: what they send is in `sources`, in Python and in Node."""
