"""Limits that hold under floods, over days, through crashes and without their store."""

import asyncio
from collections.abc import Callable

import pytest

from services.ledger import Ledger, LedgerError
from services.ledger.memory import MemoryLedger
from services.limits import Estimate, Limiter, LimitError
from services.limits.switch import turn_switch
from services.public_settings import LimitSettings

pytestmark = pytest.mark.anyio
NOON = 20_000 * 86_400.0 + 43_200.0


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> MemoryLedger:
    return MemoryLedger(clock=clock)


@pytest.fixture
def limiter(clock: Clock, ledger: MemoryLedger) -> Callable[..., Limiter]:
    return lambda **limits: Limiter(LimitSettings(**limits), lambda: ledger, clock=clock)


async def refusal(
    limiter: Limiter, principal: str = "a", estimate: Estimate | None = None
) -> LimitError:
    with pytest.raises(LimitError) as caught:
        await limiter.reserve(principal, estimate or Estimate())
    return caught.value


async def test_without_limits_nothing_is_counted(limiter: Callable[..., Limiter]) -> None:
    """And no ledger is opened."""

    def no_ledger() -> Ledger:
        raise AssertionError("opened")

    assert await Limiter(LimitSettings(), no_ledger).reserve("a", Estimate()) is None


async def test_a_visitor_has_so_many_runs_a_minute(
    limiter: Callable[..., Limiter], clock: Clock
) -> None:
    """Another visitor is served; the next minute begins anew; a refund counts nothing."""
    limit = limiter(visitor_runs_per_minute=2)
    await limit.refund(await limit.reserve("a", Estimate()))
    for _ in range(2):
        await limit.settle(await limit.reserve("a", Estimate()), tokens=0, usd=0)
    clock.now += 15
    error = await refusal(limit)
    assert (error.code, error.scope, error.retry_after_ms) == ("rate_limited", "visitor", 45_000)
    assert await limit.reserve("b", Estimate())
    clock.now += 45
    assert await limit.reserve("a", Estimate())


async def test_a_visitor_has_so_many_runs_at_once(
    limiter: Callable[..., Limiter], clock: Clock
) -> None:
    """Counted for each run; the place of a run whose process died is free again in time."""
    limit = limiter(visitor_runs_at_once=2)
    first = await limit.reserve("a", Estimate(seconds=60))
    await limit.reserve("a", Estimate(seconds=60))
    assert (await refusal(limit)).code == "rate_limited"
    await limit.settle(first, tokens=0, usd=0)
    await limit.reserve("a", Estimate(seconds=600))
    assert (await refusal(limit)).code == "rate_limited"
    clock.now += 121
    assert await limit.reserve("a", Estimate())


@pytest.mark.parametrize("scope", ["visitor", "total"])
@pytest.mark.parametrize("kind", ["tokens", "usd"])
async def test_a_day_has_so_many_tokens_and_so_much_money(
    limiter: Callable[..., Limiter], clock: Clock, scope: str, kind: str
) -> None:
    """What a run may use is reserved, what it did not use is given back."""
    limit = limiter(**{f"{scope}_{kind}_per_day": 100})
    most = Estimate(tokens=60) if kind == "tokens" else Estimate(usd=60.0)
    used = (30, 0.0) if kind == "tokens" else (0, 30.0)
    ticket = await limit.reserve("a", most)
    for _ in range(2):  # a second time changes nothing
        await limit.settle(ticket, tokens=used[0], usd=used[1])
    await limit.reserve("a", most)
    await limit.reserve("a", most)
    error = await refusal(limit, "a", most)
    assert (error.code, error.scope) == ("budget_exceeded", scope)
    assert error.retry_after_ms == 43_200_000
    clock.now += 43_200
    assert await limit.reserve("a", most)


async def test_a_flood_of_new_visitors_stays_under_the_cap_and_one_run(
    limiter: Callable[..., Limiter], ledger: MemoryLedger
) -> None:
    """A thousand at once, before one has ended."""
    limit = limiter(total_usd_per_day=1.0, visitor_runs_per_minute=5)

    async def ask(visitor: int) -> bool:
        try:
            await limit.reserve(f"v{visitor}", Estimate(usd=0.03))
        except LimitError:
            return False
        return True

    served = sum(await asyncio.gather(*(ask(visitor) for visitor in range(1000))))
    assert served == 34
    assert (await ledger.counters(f"total#{int(NOON // 86_400)}"))["micros"] <= 1_030_000


async def test_a_refused_run_takes_nothing_from_its_visitor(
    limiter: Callable[..., Limiter],
) -> None:
    """All together are at their limit: the visitor's place is given back."""
    limit = limiter(total_runs_per_minute=1, visitor_runs_at_once=1)
    await limit.settle(await limit.reserve("a", Estimate()), tokens=0, usd=0)
    assert (await refusal(limit, "b")).scope == "total"
    assert (await refusal(limit, "b")).scope == "total"


async def test_a_visitors_flood_leaves_the_others_served(limiter: Callable[..., Limiter]) -> None:
    """Two hundred at once of one, then one of another."""
    limit = limiter(visitor_runs_per_minute=5, visitor_runs_at_once=3, total_runs_per_minute=100)
    calls = (limit.reserve("a", Estimate()) for _ in range(200))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 3
    assert await limit.reserve("b", Estimate())


async def test_the_switch_refuses_and_takes_again(
    limiter: Callable[..., Limiter], ledger: MemoryLedger, clock: Clock
) -> None:
    """Within five seconds, in every process."""
    limit = limiter(total_runs_per_minute=9)
    await limit.reserve("a", Estimate())
    await turn_switch(ledger, off=True)
    clock.now += 5
    error = await refusal(limit)
    assert (error.code, error.scope) == ("overloaded", "total")
    await turn_switch(ledger, off=False)
    clock.now += 5
    assert await limit.reserve("a", Estimate())
    assert (await refusal(limiter(switched_off=True))).code == "overloaded"


async def test_a_ledger_out_of_reach_refuses(clock: Clock) -> None:
    """A limit that cannot be checked is no limit."""

    class FaultyLedger(MemoryLedger):
        async def read(self, *_: object) -> None:
            raise LedgerError

        async def add(self, *_: object, **__: object) -> bool:
            raise LedgerError

    broken = FaultyLedger()
    for limits in ({"visitor_runs_per_minute": 1}, {"total_usd_per_day": 1.0}):
        limit = Limiter(LimitSettings(**limits), lambda: broken, clock=clock)
        with pytest.raises(LedgerError) as caught:
            await limit.reserve("a", Estimate())
        assert (caught.value.code, caught.value.retryable) == ("overloaded", True)


async def test_a_run_that_goes_on_counts_and_is_never_refused(
    limiter: Callable[..., Limiter], ledger: MemoryLedger
) -> None:
    """Past every limit it goes on; the questions that come next find its place and its tokens."""
    limit = limiter(visitor_runs_at_once=1, visitor_runs_per_minute=2, total_tokens_per_day=100)
    first = await limit.reserve("a", Estimate(tokens=60))
    resumed = await limit.reserve_resumed("a", Estimate(tokens=60))
    assert resumed is not None
    await limit.settle(first, tokens=60, usd=0)
    assert (await refusal(limit)).scope == "visitor"
    assert (await refusal(limit, "b")).code == "budget_exceeded"
    await limit.settle(resumed, tokens=10, usd=0)
    assert await limit.reserve("a", Estimate(tokens=1))


async def test_a_ledger_out_of_reach_stops_no_run_that_goes_on(clock: Clock) -> None:
    """It is not counted then, and the logger says so."""

    def away() -> Ledger:
        raise LedgerError

    limit = Limiter(LimitSettings(visitor_runs_at_once=1), away, clock=clock)
    assert await limit.reserve_resumed("a", Estimate()) is None
