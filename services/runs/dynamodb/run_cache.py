"""What a process knows of runs in DynamoDB, to ask the table less, and whether they are kept."""

from collections import OrderedDict
from collections.abc import Callable

from ..errors import ExpiredRunError, UnknownRunError
from . import chain, items
from .chain import KnownRun
from .faults import Item
from .table import Table

# Runs that this process remembers something of.
KNOWN_RUNS = 2000


class RunCache:
    """The runs in `table` that this process remembers something of.

    A run that has not ended is kept `slack` seconds longer than its item says; `now` gives epoch
    seconds.
    """

    def __init__(self, table: Table, *, slack: float, now: Callable[[], float]) -> None:
        self._table = table
        self._slack = slack
        self._now = now
        self._known: OrderedDict[str, KnownRun] = OrderedDict()

    async def read_meta(self, run_id: str) -> Item | None:
        """The item of a run, kept or not; None where there is none, or it was deleted."""
        if not items.is_run_id(run_id):
            return None
        item = await self._table.get(items.run_key(run_id), items.META)
        return None if item is None or items.is_deleted(item) else item

    async def require_kept(self, run_id: str, *, anew: bool = False) -> KnownRun:
        """What is known of a run that is kept; `anew`: as the table has it now."""
        known_run = self._known.get(run_id)
        if known_run is not None and not anew and known_run.until > self._now():
            self._known.move_to_end(run_id)
            return known_run
        item = await self.read_meta(run_id)
        if item is None:
            raise UnknownRunError if known_run is None else ExpiredRunError
        if not await self.is_kept(item):
            raise ExpiredRunError
        return self.remember(run_id, float(item["until"]["N"]))

    async def is_kept(self, item: Item) -> bool:
        """Whether a run is neither over nor deleted. One that has not ended is kept longer."""
        if items.is_deleted(item):
            return False
        past = self._now() - float(item["until"]["N"])
        if past < 0 or past >= self._slack:
            return past < 0
        end = KnownRun(0.0)
        await chain.look_at_end(self._table, items.run_of_item(item).id, end)
        return not end.ended

    def remember(self, run_id: str, until: float) -> KnownRun:
        """Remember that a run is kept until then."""
        known_run = self._known.setdefault(run_id, KnownRun(until))
        known_run.until = until
        self._known.move_to_end(run_id)
        if len(self._known) > KNOWN_RUNS:
            self._known.popitem(last=False)
        return known_run

    def forget(self, run_id: str) -> None:
        """Know nothing of a run any more."""
        self._known.pop(run_id, None)
