"""Strangers' bytes by the million: a target is a maker of inputs by seed, and what must hold."""
