"""The command line: nothing of it is imported by the library."""
