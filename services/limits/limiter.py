"""Take a place for a run before it starts, and settle what it used when it ends.

A place reserves what the run may use at most, in one conditional step for all visitors together:
a thousand questions at once cannot each see a budget with room for one. When a run ends, the
difference to what it used is given back. So the most that is ever used is the limit and one run.

Each visitor has a record, which is read and written with its version; all together have counters.
A ledger that is out of reach refuses the run (`LedgerError`); reading needs no ledger.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import RiverrunError
from ..ledger import Ledger, LedgerError
from ..public_settings import LimitSettings
from . import visitor
from .switch import Switch

logger = logging.getLogger(__name__)

DAY = 24 * 3600
_MICROS = 1_000_000
# A visitor's own questions of the same moment; more tries would only serve a flood.
_TRIES = 5


class LimitError(RiverrunError):
    """A limit is reached. `scope` is `visitor`, or `total` for all visitors together."""

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, scope: str, code: str, wait: float, hint: str) -> None:
        super().__init__(message, code=code, retry_after_ms=max(1000, int(wait * 1000)), hint=hint)
        self.scope = scope


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run may use at most. `seconds` is how long one process works on it."""

    tokens: int = 0
    usd: float = 0.0
    seconds: float = 900.0


@dataclass(slots=True)
class Ticket:
    """A place that was taken: for whom, on which day, and what was reserved."""

    id: str
    principal: str
    day: int
    minute: int
    tokens: int
    micros: int
    is_settled: bool = False


class Limiter:
    """The limits of `settings`, counted in the ledger that `open_ledger` opens at first use."""

    def __init__(
        self,
        settings: LimitSettings,
        open_ledger: Callable[[], Ledger],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._open_ledger = open_ledger
        self._clock = clock
        self._switch = Switch(clock=clock)

    async def reserve(self, principal: str, estimate: Estimate) -> Ticket | None:
        """Take a place for a run of `principal`; None where nothing is limited.

        Raises `LimitError` at a limit, `LedgerError` when the ledger cannot be asked.
        """
        limits = self._settings
        if limits.switched_off:
            raise _switched_off_error()
        if not (limits.has_visitor_limit or limits.has_total_limit):
            return None
        ledger = self._open_ledger()
        if await self._switch.is_off(ledger):
            raise _switched_off_error()
        now = self._clock()
        ticket = _make_ticket(principal, estimate, now)
        if limits.has_visitor_limit:
            await self._take_visitor_place(ledger, ticket, now, estimate.seconds)
        if limits.has_total_limit:
            try:
                await self._take_total_place(ledger, ticket, now)
            except BaseException:
                await self.refund(ticket)
                raise
        return ticket

    async def reserve_resumed(self, principal: str, estimate: Estimate) -> Ticket | None:
        """Take a place for a run that goes on: counted as `reserve` counts, and never refused.

        What was begun may be finished, so limits, the switch and a ledger that is away stop nothing
        here; the questions that come next find what it uses.
        """
        limits = self._settings
        if not (limits.has_visitor_limit or limits.has_total_limit):
            return None
        now = self._clock()
        ticket = _make_ticket(principal, estimate, now)
        try:
            ledger = self._open_ledger()
            if limits.has_visitor_limit:

                def change(record: dict[str, Any]) -> None:
                    visitor.turn(record, now, ticket.minute, ticket.day)
                    until = now + estimate.seconds + 60
                    visitor.enter(record, ticket.id, until, ticket.tokens, ticket.micros)
                    record["runs"] -= 1  # no question was asked in this minute

                await self._change_visitor(ledger, principal, change)
            if limits.has_total_limit:
                amounts = {"tokens": ticket.tokens, "micros": ticket.micros}
                await ledger.add(f"total#{ticket.day}", amounts, expires=(ticket.day + 2) * DAY)
        except LedgerError:
            logger.warning("A run that goes on could not be counted.")
            return None
        return ticket

    async def settle(self, ticket: Ticket | None, *, tokens: int, usd: float) -> None:
        """Give back what `ticket` reserved and its run did not use, and its place."""
        await self._give_back(ticket, tokens, int(usd * _MICROS), runs=0)

    async def refund(self, ticket: Ticket | None) -> None:
        """Give back all of `ticket`: no run was started with it."""
        await self._give_back(ticket, 0, 0, runs=1)

    async def _give_back(self, ticket: Ticket | None, tokens: int, micros: int, runs: int) -> None:
        if ticket is None or ticket.is_settled:
            return
        ticket.is_settled = True
        ledger, limits = self._open_ledger(), self._settings
        rest = (tokens - ticket.tokens, micros - ticket.micros)
        if limits.has_total_limit and any(rest):
            amounts = {"tokens": rest[0], "micros": rest[1]}
            expires = (ticket.day + 2) * DAY
            await ledger.add(f"total#{ticket.day}", amounts, expires=expires)
        if limits.has_visitor_limit:

            def change(record: dict[str, Any]) -> None:
                visitor.leave(record, ticket.id, ticket.day, *rest)
                if runs and record["minute"] == ticket.minute:
                    record["runs"] -= runs

            await self._change_visitor(ledger, ticket.principal, change)

    async def _take_visitor_place(
        self, ledger: Ledger, ticket: Ticket, now: float, seconds: float
    ) -> None:
        limits = self._settings

        def change(record: dict[str, Any]) -> None:
            visitor.turn(record, now, ticket.minute, ticket.day)
            reached = visitor.find_limit(record, limits)
            if reached is not None:
                raise _visitor_error(reached, now)
            visitor.enter(record, ticket.id, now + seconds + 60, ticket.tokens, ticket.micros)

        if not await self._change_visitor(ledger, ticket.principal, change):
            raise _visitor_error("at once", now)

    async def _change_visitor(
        self, ledger: Ledger, principal: str, change: Callable[[dict[str, Any]], None]
    ) -> bool:
        key = f"visitor#{principal}"
        for _ in range(_TRIES):
            found = await ledger.read(key)
            record = visitor.copy_record(found.value if found else {})
            change(record)
            version = found.version if found else 0
            expires = self._clock() + 2 * DAY
            if await ledger.write(key, record, version=version, expires=expires):
                return True
        return False

    async def _take_total_place(self, ledger: Ledger, ticket: Ticket, now: float) -> None:
        limits = self._settings
        if limits.total_runs_per_minute is not None and not await ledger.add(
            f"total#minute#{ticket.minute}",
            {"runs": 1},
            limits={"runs": limits.total_runs_per_minute},
            expires=(ticket.minute + 10) * 60,
        ):
            raise _total_error("rate_limited", 60 - now % 60)
        caps: dict[str, int] = {}
        if limits.total_tokens_per_day is not None:
            caps["tokens"] = limits.total_tokens_per_day
        if limits.total_usd_per_day is not None:
            caps["micros"] = int(limits.total_usd_per_day * _MICROS)
        if caps and not await ledger.add(
            f"total#{ticket.day}",
            {"tokens": ticket.tokens, "micros": ticket.micros},
            limits=caps,
            expires=(ticket.day + 2) * DAY,
        ):
            # What is not added is not given back.
            ticket.tokens = ticket.micros = 0
            raise _total_error("budget_exceeded", DAY - now % DAY)


def _make_ticket(principal: str, estimate: Estimate, now: float) -> Ticket:
    return Ticket(
        secrets.token_hex(8),
        principal,
        int(now // DAY),
        int(now // 60),
        estimate.tokens,
        int(estimate.usd * _MICROS),
    )


def _switched_off_error() -> LimitError:
    return LimitError(
        "New questions are not taken at the moment.",
        scope="total",
        code="overloaded",
        wait=300,
        hint="Answers that were begun can still be read.",
    )


def _visitor_error(reached: str, now: float) -> LimitError:
    message, code, wait = {
        "minute": ("You have asked too often in this minute.", "rate_limited", 60 - now % 60),
        "at once": ("Too many of your questions are being answered.", "rate_limited", 2.0),
        "tokens": ("You have used up today's tokens.", "budget_exceeded", DAY - now % DAY),
        "micros": ("You have used up today's money.", "budget_exceeded", DAY - now % DAY),
    }[reached]
    hint = "Wait, and ask again." if code == "rate_limited" else "The day begins at 0:00 UTC."
    return LimitError(message, scope="visitor", code=code, wait=wait, hint=hint)


def _total_error(code: str, wait: float) -> LimitError:
    message = (
        "Too many questions are being asked."
        if code == "rate_limited"
        else "This service has used up what it may spend today."
    )
    return LimitError(
        message,
        scope="total",
        code=code,
        wait=wait,
        hint="Answers that were begun can still be read.",
    )
