"""What all readers saw, held against the store: what a run promises.

- P1: what a reader saw, over all its connections, is the log from 1 on: nothing lost, doubled, out
  of order or different; asked for again from the beginning, it is the same again.
- P2: every event that a reader saw is in the store, byte for byte.
- P3: the log has no hole and one terminal entry, the last; its tokens are the answer.
- P4: the key stands for one run, and the provider was called once, and once more at most each time
  that a process took the run over, which said so in the log before it called.
- P5: a server that is given notice cuts no reader off: each body ends with a word of it.
- P6 is looked at while it happens (`troubles`): a server that has ended so holds no run.
- P7: no run is taken from a producer that lives, nor ended, nor lost by the store (`incidents`).

Knows stories and entries; not how either came about.
"""

import json
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from services.runs import Entry, Run, RunLog
from services.streaming.run.resume import RESUMED_DESCRIPTION
from tests.functions.deployed import word_of
from tests.functions.history import Story
from tests.functions.incidents import (
    Incident,
    find_taken,
    journal_of,
    read_calls,
    was_starved,
)
from tests.functions.losses import Losses, find_run
from tests.functions.readers import Reader
from tests.functions.servers import BrokenPromiseError
from tests.functions.wire import SeenEvent

# How a run may end that was not stopped and whose provider never fails: gone on with three times
# without a word more; store at fault.
FAILURES = frozenset({"deadline", "internal", "provider_truncated"})


async def check(
    stories: Sequence[Story], log: RunLog, calls: Path, losses: Losses, *, forgets: bool
) -> Counter[str]:
    """Raise `BrokenPromiseError`, with the seed, where one was broken. Returns what happened.

    `calls` is the provider's list of its calls. Where the store `forgets` a run that has ended, a
    key may stand for another one later.
    """
    called, incidents = read_calls(calls), journal_of(calls).read()
    gone = losses.read_gone()
    happened: Counter[str] = Counter()
    for story in stories:
        many = len(story.runs)
        if many == 0 or (many - 1 > len(story.runs & gone.keys()) and not forgets):
            raise BrokenPromiseError(f"P4, seed {story.seed}: {many} runs of one key")
        for run_id in sorted(story.runs):
            found = await find_run(run_id, log, gone)
            if found is None:
                raise BrokenPromiseError(f"P2, seed {story.seed}: {run_id} is gone, and was live")
            # Which of several runs was paid for so, no list says.
            paid = called[story.name] if many == 1 else []
            told = select_run(story, run_id)
            if many > 1 and not any(reader.seen for reader in told.readers):
                # Its readers came back to another one, which was there still; this one waits.
                check_beginning(told, *found)
                continue
            happened += check_story(told, *found, len(paid), incidents)
            interrupted = _end_of(found[1]) == "interrupted"
            if (taken := find_taken(paid, incidents, interrupted=interrupted)) is not None:
                raise BrokenPromiseError(
                    f"P7, seed {story.seed}: taken from process {taken.pid}, which lived"
                )
        happened["lost and asked anew"] += many - 1
        happened["told gone"] += sum(bool(reader.lost) for reader in story.readers)
    return happened


def select_run(story: Story, run_id: str) -> Story:
    """What `story` saw of one of its runs."""
    readers = [
        replace(
            reader,
            # What it read to the end was another one.
            seen=reader.seen if (read := _run_of(reader.seen) == run_id) else [],
            lost=reader.lost if read else reader.lost | {run_id},
            before=[seen for seen in reader.before if _run_of(seen) == run_id],
        )
        for reader in story.readers
        if len(story.runs) == 1 or run_id in reader.runs
    ]
    return replace(story, readers=readers) if len(story.runs) > 1 else story


def _run_of(seen: Sequence[SeenEvent]) -> str:
    return seen[0].id.rpartition("-")[0] if seen else ""


def check_story(
    story: Story,
    run: Run,
    entries: Sequence[Entry],
    calls: int,
    incidents: Sequence[Incident] = (),
) -> Counter[str]:
    """`check` for one story, its `run`, the `entries` of that, and `calls` of the provider."""
    kept = {f"{run.id}-{entry.seq}": entry.payload for entry in entries}
    gone_on = sum(_goes_on(entry) for entry in entries)
    checks: Sequence[tuple[str, Callable[[], None]]] = (
        ("P3", partial(_check_log, story, entries)),
        ("P4", partial(_check_calls, run, gone_on, calls)),
        ("P2", partial(_check_kept, story.readers, kept)),
        ("P5", partial(_check_told, story.readers, incidents)),
        ("P1", partial(_check_read, story.readers, list(kept))),
    )
    for promise, look in checks:
        try:
            look()
        except AssertionError as error:
            raise BrokenPromiseError(f"{promise}, seed {story.seed}: {error}") from error
    told = Counter(told for reader in story.readers for told in reader.told)
    return Counter(
        {
            _end_of(entries): 1,
            "events": len(entries),
            "takeovers": gone_on,
            "calls": calls,
            "readers": len(story.readers),
            "connections": sum(reader.connections for reader in story.readers),
            "replays": sum(len(reader.before) for reader in story.readers),
            "statuses 500, 503": told["500"] + told["503"],
            "paused": sum(many for what, many in told.items() if what.startswith("paused")),
            "paused for a shutdown": told["paused shutdown"],
            "cut off": sum(len(reader.cut_by) for reader in story.readers),
        }
    )


def check_beginning(story: Story, run: Run, entries: Sequence[Entry]) -> None:
    """`check_story` for a run that no reader read to its end."""
    kept = {f"{run.id}-{entry.seq}": entry.payload for entry in entries}
    try:
        _check_kept(story.readers, kept)
        _check_read(story.readers, list(kept))
    except AssertionError as error:
        raise BrokenPromiseError(f"P1 or P2, seed {story.seed}: {error}") from error


def _goes_on(entry: Entry) -> bool:
    status = json.loads(entry.payload).get("status", {})
    # A step that fails says once more what it was.
    return (status.get("description"), status.get("status")) == (RESUMED_DESCRIPTION, "executing")


def _end_of(entries: Sequence[Entry]) -> str:
    event = json.loads(entries[-1].payload)
    return str(event.get("code") or event["result"]["finishReason"])


def _check_log(story: Story, entries: Sequence[Entry]) -> None:
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1)), "a hole"
    assert [entry.terminal for entry in entries].count(True) == 1, "not one end"
    assert entries[-1].terminal, "something follows the end"
    events = [json.loads(entry.payload) for entry in entries]
    said = "".join(event["text"] for event in events if event["type"] == "token")
    whole = "".join(word_of(story.name, number) for number in range(story.words))
    assert whole.startswith(said), "tokens lost, doubled or out of order"
    end = events[-1]
    if end["type"] == "final":
        assert end["result"]["answer"] == said, "the answer is not its tokens"
        if end["result"]["finishReason"] == "stop":
            assert said == whole, "half an answer for a whole one"
        else:
            assert story.stopped, "stopped by no client"
        return
    assert end.get("partial", {}).get("answer", "") == said, "the partial is not its tokens"
    allowed = set(FAILURES)
    if story.stopped:
        allowed.add("cancelled")
    if not all(reader.resume for reader in story.readers):
        allowed.add("interrupted")
    assert end["code"] in allowed, f"ended as {end['code']}"


def _check_calls(run: Run, gone_on: int, calls: int) -> None:
    assert gone_on <= run.epoch - 1, f"gone on with {gone_on} times, {run.epoch - 1} claims"
    assert calls <= 1 + gone_on, f"the provider was called {calls} times, {gone_on} takeovers"


def _check_kept(readers: Sequence[Reader], kept: dict[str, bytes]) -> None:
    for reader in readers:
        for seen in _all_of(reader):
            assert seen.id in kept, f"{reader.name} saw {seen.id}, which is in no log"
            assert seen.data == kept[seen.id], f"{reader.name} saw another {seen.id}"


def _all_of(reader: Reader) -> list[SeenEvent]:
    return [seen for before in (*reader.before, reader.seen) for seen in before]


def _check_read(readers: Sequence[Reader], ids: list[str]) -> None:
    for reader in readers:
        saw = [seen.id for seen in reader.seen]
        # What is not there any more, it could not read to its end.
        assert saw == ids or (reader.lost and not saw), (
            f"{reader.name} saw {len(saw)} of {len(ids)} events, or in another order"
        )
        for before in reader.before:
            saw = [seen.id for seen in before]
            assert saw == ids[: len(saw)], f"{reader.name} saw others before"


def _check_told(readers: Sequence[Reader], incidents: Sequence[Incident]) -> None:
    for reader in readers:
        for server, at in reader.cut_by:
            assert server.returncode != -signal.SIGTERM or was_starved(server.pid, at, incidents), (
                f"{reader.name} was cut off by process {server.pid} at {at:.2f}, with notice"
            )
