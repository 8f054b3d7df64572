"""Which requests a fault strikes, and what is refused as a fault."""

import pytest

from emulator.cloudformation import EmulatorSetupError
from emulator.faults import Fault, Faults, parse_faults


def take_kinds(faults: Faults, front: str = "netlify", path: str = "/api/chat") -> list[str]:
    return [fault.kind for fault in faults.take(front=front, function="chat", path=path)]


def test_a_fault_strikes_once_unless_told_otherwise() -> None:
    """`skip` spares the first, `times` counts, none means always."""
    faults = Faults([Fault(kind="cut")])
    assert [take_kinds(faults) for _ in range(3)] == [["cut"], [], []]
    faults = Faults([Fault(kind="cut", skip=1, times=2)])
    assert [take_kinds(faults) for _ in range(5)] == [[], ["cut"], ["cut"], [], []]
    faults = Faults([Fault(kind="cut", times=None)])
    assert [take_kinds(faults) for _ in range(3)] == [["cut"]] * 3


def test_a_fault_strikes_where_it_is_meant() -> None:
    """Globs for front, function and path; a request elsewhere does not use it up."""
    faults = Faults([Fault(kind="cut", front="rest-*", path="/api/*", function="c?at")])
    assert take_kinds(faults) == []
    assert take_kinds(faults, front="rest-api", path="/other") == []
    assert take_kinds(faults, front="rest-api") == ["cut"]


def test_several_faults_strike_together_in_their_order() -> None:
    """A stream can be split and then cut."""
    faults = Faults(parse_faults(b'[{"kind": "split", "size": 3}, {"kind": "cut", "at": 7}]'))
    assert take_kinds(faults) == ["split", "cut"]


def test_a_runtimes_request_is_refused_by_its_name() -> None:
    """The fronts do not see such a rule."""
    faults = Faults([Fault(kind="refuse", to="next", status=0, function="chat")])
    assert take_kinds(faults) == []
    assert faults.refusal("other", "next") is None
    assert faults.refusal("chat", "response") is None
    assert faults.refusal("chat", "next") == 0
    assert faults.refusal("chat", "next") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b"[1]", "A fault is an object"),
        (b"{}", "needs its `kind`"),
        (b'{"kind": "melt"}', "No fault is called 'melt'. Known: cut, reset"),
        (b'{"kind": "cut", "where": 1}', "has no 'where'"),
        (b'{"kind": "cut", "at": "1"}', "'at' of a fault cannot be"),
        (b'{"kind": "cut", "at": true}', "'at' of a fault cannot be true"),
        (b'{"kind": "cut", "at": -1}', "out of range"),
        (b'{"kind": "split", "size": 0}', "out of range"),
        (b'{"kind": "refuse", "to": "me"}', "`to` is one of"),
    ],
)
def test_what_is_no_fault_is_refused(text: bytes, words: str) -> None:
    """One line that says what would be right."""
    with pytest.raises(EmulatorSetupError, match=words):
        parse_faults(text)
