"""Count what was used, beside the run log: records with a version, and counters with limits.

Start reading at `services.ledger.protocol`. `services.limits` decides with it who may ask,
`services.access` keeps its list of keys in it.
"""

from .opening import open_ledger
from .protocol import Ledger, LedgerError, Record

__all__ = ["Ledger", "LedgerError", "Record", "open_ledger"]
