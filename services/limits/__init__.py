"""Decide how much may be asked: a place for each run, taken before a model is paid.

Start reading at `services.limits.limiter`.
"""

from .limiter import Estimate, Limiter, LimitError, Ticket

__all__ = ["Estimate", "LimitError", "Limiter", "Ticket"]
