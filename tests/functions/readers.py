"""Readers who leave anywhere and come back, until they have seen the end of their run.

One leaves after any event, at any byte, in any way; comes back to any server with the id that it
saw last, or asks anew with its key. Knows what a reader is promised, and nothing of the store.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.functions.servers import AnyProcess, AnyServer, BrokenPromiseError
from tests.functions.wire import CutError, CutOffError, Leave, Response, SeenEvent, get, post


@dataclass
class Reader:
    """One reader's fate and what it saw.

    `seen` is what came since it last asked from the beginning, `before` what it had seen each time
    when it did; `told` what was no part of the run; `cut_by` the servers that cut a body and when;
    `lost` are the runs that it was told are not there any more.
    """

    name: str
    resume: bool = True
    seen: list[SeenEvent] = field(default_factory=list)
    before: list[list[SeenEvent]] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    connections: int = 0
    told: list[str] = field(default_factory=list)
    cut_by: list[tuple[AnyProcess, float]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)


async def read(
    me: Reader,
    question: Mapping[str, Any],
    key: str,
    servers: Sequence[AnyServer],
    chance: random.Random,
) -> None:
    """Read to the end, as an `EventSource` with a patient person behind it does."""
    cuts = chance.randint(0, 6)
    wait = 0.0
    while True:
        await asyncio.sleep(wait + chance.uniform(0.01, 0.2))
        wait = 0.0
        me.connections += 1
        request = _request(me, question, key, chance)
        ways: tuple[Leave, ...] = ("fin", "rst", "half")
        budget, most = None, 10_000
        if cuts > 0:
            cuts -= 1
            # At any byte, or after any event.
            if chance.random() < 0.5:
                budget = int(chance.expovariate(1 / 1500))
            else:
                most = chance.randint(0, 8)
        server = chance.choice(servers)
        process = server.process
        try:
            async with Response(server.port, request, budget, chance.choice(ways)) as response:
                # A request may have waited for a process that was only about to start.
                process = server.process
                if response.run:
                    me.runs.add(response.run)
                if response.status == 204:
                    assert me.seen, "nothing left to resume, and nothing was seen"
                    return
                if response.status == 200:
                    wait = await _hear(me, response, most)
                    if _has_ended(me):
                        return
                    continue
                # A reader that does not wait as long as it is told keeps a busy server busy.
                wait = _note_refusal(me, response) * chance.uniform(0.5, 1.5)
        except CutError as error:
            me.told.append(str(error)[:40])
            if isinstance(error, CutOffError):
                me.cut_by.append((process, time.monotonic()))


def _request(me: Reader, question: Mapping[str, Any], key: str, chance: random.Random) -> bytes:
    resume = "resume=1" if me.resume else "resume=0"
    if not me.seen:
        if (there := me.runs - me.lost) and chance.random() < 0.3:
            run = min(there)
            return get(f"/api/chat/runs/{run}/events?after=0&{resume}")
        return post(question, Idempotency_Key=key)
    if chance.random() < 0.2:
        me.before.append(me.seen)
        me.seen = []
        return post(question, Idempotency_Key=key)
    last = me.seen[-1].id
    run, _, seq = last.rpartition("-")
    if chance.random() < 0.5:
        return get(f"/api/chat/runs/{run}/events?after={seq}&{resume}")
    return get(f"/api/chat?{resume}", Last_Event_ID=last)


def _begin_anew(me: Reader) -> None:
    """Forget a run that is not there any more; whether it may be gone, the check says."""
    me.lost |= {me.seen[-1].id.rpartition("-")[0]} if me.seen else me.runs
    if me.seen:
        me.before.append(me.seen)
        me.seen = []


def _note_refusal(me: Reader, response: Response) -> float:
    """How long this reader was asked to stay away, in seconds."""
    me.told.append(str(response.status))
    if response.status in (404, 410):
        _begin_anew(me)
        return 0.0
    if response.status == 400:
        raise BrokenPromiseError(f"P2, {me.name}: the log lacks what it was shown")
    assert response.status in (429, 500, 502, 503, 504), f"status {response.status}"
    return response.retry_after


def _has_ended(me: Reader) -> bool:
    return bool(me.seen) and me.seen[-1].event["type"] in ("final", "error")


async def _hear(me: Reader, response: Response, most: int) -> float:
    """Take events until the end of the run or of the body, or enough of them.

    Returns how long this reader was asked to stay away, in seconds.
    """
    wait = 0.0
    sent_off = False
    while most > 0 and not _has_ended(me):
        found = await response.events()
        if not found:
            break
        for seen in found:
            assert not sent_off, "something follows what ends a body"
            if seen.id:
                me.seen.append(seen)
                most -= 1
            else:
                # Told to this reader alone, and in no log.
                wait, sent_off = _is_disconnected_by(me, seen), True
            if most == 0 or _has_ended(me):
                break
    return wait


def _is_disconnected_by(me: Reader, seen: SeenEvent) -> float:
    event = seen.event
    if event["type"] == "paused":
        assert me.resume, "paused, for a reader who did not say resume"
        me.told.append(f"paused {event['reason']}")
    else:
        assert event["type"] == "error", f"{event['type']} without an id"
        me.told.append(event["code"])
        if event["code"] in ("expired", "not_found"):
            _begin_anew(me)
            return 0.0
        assert event["retryable"], f"told for ever: {event['code']}"
    if event["type"] == "paused" or event["code"] == "deadline":
        last = me.seen[-1].seq if me.seen else 0
        cursor = event["cursor"]
        assert cursor in {f"{run}-{last}" for run in me.runs}, f"sent off at {cursor}, read {last}"
        said = "".join(seen.event.get("text", "") for seen in me.seen)
        # What could not be read in time is left out. Where it differs, this reader missed
        # something, or the log lacks what they were shown: from here it looks the same.
        if event.get("partial", {}).get("answer", said) != said:
            raise BrokenPromiseError(f"P1 or P2, {me.name}: the log has other words than it saw")
    return float(event.get("resumeAfterMs", 0) or event.get("retryAfterMs", 0)) / 1000
