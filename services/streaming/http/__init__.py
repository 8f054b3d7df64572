"""The HTTP face of the functions: routes, requests and responses."""
