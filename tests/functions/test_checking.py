"""The check itself, on made-up histories: a whole one passes, and each fault has its promise."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import pytest

from services.runs import Entry, Run
from services.streaming.run.resume import RESUMED_DESCRIPTION
from tests.functions.checking import check_story
from tests.functions.deployed import word_of
from tests.functions.history import Story
from tests.functions.incidents import Incident, was_starved
from tests.functions.readers import Reader
from tests.functions.servers import BrokenPromiseError
from tests.functions.wire import SeenEvent

ID = "a" * 32


def entry(seq: int, type: str, **more: Any) -> Entry:
    """An entry."""
    if type == "status":
        more = {"status": {"status": "executing", **more}}
    payload = json.dumps({"type": type, **more}).encode()
    return Entry(seq, type, payload, type in ("final", "error"))


def make_token(*words: int) -> dict[str, str]:
    """The text of a token."""
    return {"text": "".join(word_of("s0", number) for number in words)}


def make_seen(entry: Entry) -> SeenEvent:
    """An entry as a reader gets it."""
    return SeenEvent(f"{ID}-{entry.seq}", entry.payload)


@dataclass
class History:
    """Two words, between which the producer died; read by one from the end of it, by one twice."""

    story: Story = field(default_factory=lambda: Story(0, "s0", 2, []))
    run: Run = field(
        default_factory=lambda: Run(id=ID, owner=None, created=0.0, fingerprint="", epoch=2)
    )
    calls: int = 2
    entries: list[Entry] = field(
        default_factory=lambda: [
            entry(1, "status", description="Thinking"),
            entry(2, "token", **make_token(0)),
            entry(3, "status", description=RESUMED_DESCRIPTION),
            entry(4, "token", **make_token(1)),
            entry(5, "final", result={"answer": make_token(0, 1)["text"], "finishReason": "stop"}),
        ]
    )

    def __post_init__(self) -> None:
        whole = [make_seen(entry) for entry in self.entries]
        self.story.readers += [
            Reader("s0/0", seen=list(whole), runs={ID}),
            Reader("s0/1", seen=list(whole), before=[whole[:3]], runs={ID}),
        ]

    @property
    def reader(self) -> Reader:
        """The one who asked twice."""
        return self.story.readers[1]

    def rewrite(self, entries: list[Entry]) -> None:
        """Another log, which all readers saw as it is."""
        self.entries = entries
        for reader in self.story.readers:
            reader.before = []
            reader.seen = [make_seen(entry) for entry in entries]

    def check(self) -> None:
        """Check it."""
        check_story(self.story, self.run, self.entries, self.calls)


def test_a_whole_history_passes() -> None:
    """With a takeover, a replay and two readers."""
    History().check()


def misses(history: History) -> None:
    del history.reader.seen[2]


def misses_the_end(history: History) -> None:
    del history.reader.seen[-1]


def hears_twice(history: History) -> None:
    history.reader.seen.insert(2, history.reader.seen[1])


def hears_backwards(history: History) -> None:
    history.reader.seen[1:3] = history.reader.seen[2:0:-1]


def hears_another_beginning(history: History) -> None:
    del history.reader.before[0][0]


def sees_what_was_never_kept(history: History) -> None:
    history.reader.seen.append(SeenEvent(f"{ID}-6", b"{}"))


def sees_other_bytes(history: History) -> None:
    history.reader.before[0][1] = SeenEvent(f"{ID}-2", b"{}")


def sees_another_run(history: History) -> None:
    history.reader.seen[0] = SeenEvent(f"{'b' * 32}-1", history.reader.seen[0].data)


def ends_twice(history: History) -> None:
    history.rewrite([*history.entries, history.entries[-1]._replace(seq=6)])


def never_ends(history: History) -> None:
    history.rewrite(history.entries[:-1])


def goes_on_after_its_end(history: History) -> None:
    history.rewrite([*history.entries, entry(6, "token", **make_token(1))])


def has_a_hole(history: History) -> None:
    history.rewrite([*history.entries[:3], *history.entries[4:]])


def says_a_word_twice(history: History) -> None:
    history.rewrite(
        [*history.entries[:3], entry(4, "token", **make_token(0, 1)), history.entries[4]]
    )


def answers_another_than_it_said(history: History) -> None:
    history.entries[-1] = entry(5, "final", result={"answer": "No.", "finishReason": "stop"})


def stops_by_itself(history: History) -> None:
    result = {"answer": make_token(0, 1)["text"], "finishReason": "cancelled"}
    history.entries[-1] = entry(5, "final", result=result)


def is_interrupted_though_it_may_go_on(history: History) -> None:
    partial = {"answer": make_token(0, 1)["text"]}
    history.entries[-1] = entry(5, "error", code="interrupted", partial=partial)


def is_paid_twice(history: History) -> None:
    history.calls += 1


def goes_on_without_a_claim(history: History) -> None:
    history.run = replace(history.run, epoch=1)


def is_cut_off_with_notice(history: History) -> None:
    with subprocess.Popen(["sleep", "60"]) as server:
        server.terminate()
    history.reader.cut_by.append((server, 0.0))


FAULTS: dict[str, tuple[Callable[[History], None], ...]] = {
    "P1": (misses, misses_the_end, hears_twice, hears_backwards, hears_another_beginning),
    "P2": (sees_what_was_never_kept, sees_other_bytes, sees_another_run),
    "P3": (
        ends_twice,
        never_ends,
        goes_on_after_its_end,
        has_a_hole,
        says_a_word_twice,
        answers_another_than_it_said,
        stops_by_itself,
        is_interrupted_though_it_may_go_on,
    ),
    "P4": (is_paid_twice, goes_on_without_a_claim),
    "P5": (is_cut_off_with_notice,),
}


@pytest.mark.parametrize(
    ("promise", "fault"),
    [
        pytest.param(promise, fault, id=f"{promise} {fault.__name__}")
        for promise, faults in FAULTS.items()
        for fault in faults
    ],
)
def test_a_fault_is_found_and_named(promise: str, fault: Callable[[History], None]) -> None:
    """One thing is wrong, and the promise that it breaks is said."""
    history = History()
    fault(history)
    with pytest.raises(BrokenPromiseError, match=rf"^{promise}, seed 0: "):
        history.check()


def test_a_server_whose_loop_stood_still_may_be_too_late_for_a_body() -> None:
    """For half a second since its notice: less, before it or in another process, excuses none."""
    notice = Incident(7, 10.0, inf, "ended")
    stood = Incident(7, 10.5, 11.1, "late")
    assert was_starved(7, 12.0, [notice, stood])
    assert not was_starved(7, 12.0, [notice, stood._replace(until=10.9)])
    assert not was_starved(7, 12.0, [notice, stood._replace(since=9.0, until=10.4)])
    assert not was_starved(8, 12.0, [notice, stood])
