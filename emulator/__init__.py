"""A cloud on localhost: what AWS and Netlify do around a function, on loopback.

It never ships. It spells every protocol name itself and imports nothing of the product, so
the runtime and the emulator cannot agree on a typo.
"""
