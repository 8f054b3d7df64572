"""Entries as bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs import Entry
from services.runs.packing import pack, to_bytes, to_text, unpack

BODIES = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.binary(max_size=300) | st.sampled_from([b'{"type":"token","text":"a"}' * 50]),
        st.booleans(),
    ),
    max_size=30,
)


@given(BODIES, st.integers(1, 999_999_000))
def test_entries_come_back_as_they_were(bodies: list[tuple[str, bytes, bool]], first: int) -> None:
    """Whatever is in them, numbered from any number; and the same entries are the same bytes."""
    entries = [Entry(seq, *body) for seq, body in enumerate(bodies, first)]
    assert unpack(pack(entries), first) == entries
    assert pack(entries) == pack(list(entries))


def test_the_bytes_stay_what_they_are() -> None:
    """They are in people's tables."""
    entries = [Entry(5, "token", b"{}"), Entry(6, "final", b"\0", terminal=True)]
    blob = b"\0\0\0\x05\0\0\0\x02token{}\1\0\x05\0\0\0\x01final\0"
    assert pack(entries) == blob
    assert unpack(blob, 5) == entries


def test_what_repeats_itself_shrinks() -> None:
    """A batch of tokens is mostly their field names."""
    entries = [Entry(n, "token", b'{"type":"token","text":"w%d "}' % n) for n in range(1, 41)]
    assert len(pack(entries)) < sum(len(entry.payload) for entry in entries) / 3


@given(st.binary(max_size=60))
def test_bytes_of_no_blob_are_refused(blob: bytes) -> None:
    """With one error, or read as what they are."""
    try:
        entries = unpack(blob, 1)
    except ValueError:
        return
    assert unpack(pack(entries), 1) == entries


@pytest.mark.parametrize("end", range(1, 29))
def test_half_a_blob_is_refused(end: int) -> None:
    """Cut anywhere but between entries."""
    blob = pack([Entry(1, "token", b"{}"), Entry(2, "final", b"", terminal=True)])
    if end in {1, 15} or end >= len(blob):
        assert len(unpack(blob[:end], 1)) < 3
    else:
        with pytest.raises(ValueError, match="not a blob"):
            unpack(blob[:end], 1)


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    """Also what no file could hold."""
    assert to_text(to_bytes(text)) == text
