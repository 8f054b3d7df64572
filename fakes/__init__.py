"""Stand-ins for the services that an answer uses: servers on this machine, for `make cloud`,
tests and benchmarks. They know nothing of the product, and nothing that is deployed knows them.
"""
