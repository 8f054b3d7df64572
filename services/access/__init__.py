"""Decide who may ask: keys, tokens of an identity provider, signed visitors, signed links.

Start reading at `services.access.identify`. Knows no HTTP: what carries a credential is the
business of `services.streaming.http`.
"""

from .identify import Access
from .principal import OPEN, AccessError, Principal, name_stranger

__all__ = ["OPEN", "Access", "AccessError", "Principal", "name_stranger"]
