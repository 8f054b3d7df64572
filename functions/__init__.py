"""The deployed functions: one thin ASGI app a file, no logic."""
