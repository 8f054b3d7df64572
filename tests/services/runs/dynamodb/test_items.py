"""How items are named and put together."""

from hypothesis import given
from hypothesis import strategies as st

from services.runs import Entry, Run
from services.runs.dynamodb import items
from services.runs.dynamodb.faults import Item
from services.runs.dynamodb.items import PART_BYTES
from services.runs.packing import pack

RUN = Run(
    id="a" * 32,
    owner="ann",
    created=1_767_225_600.123456,
    fingerprint="f",
    question=b"\0q",
    epoch=3,
    lease_until=1.5,
    checkpoint=b"c",
)


def batch(first: int, count: int, size: int = 10) -> list[Item]:
    """The items of a batch."""
    entries = [Entry(first + n, "token", b"x" * size) for n in range(count)]
    blob = b"\0" + b"".join(pack([entry])[1:] for entry in entries) if size < 500 else b"z" * size
    return items.batch_items("r", entries, blob, b"nonce", at=50.25, until=100.5)


def test_a_batch_from_before_times_were_taken_has_none() -> None:
    """It is read like any other."""
    entries = [Entry(1, "token", b"x")]
    (item,) = items.batch_items("r", entries, pack(entries), b"nonce", at=50.25, until=100.5)
    assert items.time_of(item) == 50.25
    del item["at"]
    assert items.time_of(item) is None
    assert items.entries_of(1, [item]) == entries


def test_a_run_comes_back_from_its_item() -> None:
    """With and without an owner; no owner is not the owner called nothing."""
    for owner in ("ann", "", None):
        run = Run(id=RUN.id, owner=owner, created=RUN.created, fingerprint="f")
        assert items.run_of_item(items.meta_item(run, 5.0)) == run
    assert items.run_of_item(items.meta_item(RUN, 5.0)) == RUN


@given(st.lists(st.tuples(st.none() | st.text(), st.text()), unique=True, max_size=20))
def test_no_two_names_are_one(names: list[tuple[str | None, str]]) -> None:
    """However owners and keys are cut, whatever is in them."""
    assert len({items.hash_key("key", *name) for name in names}) == len(names)


def test_names_that_could_be_cut_in_two_ways_are_two() -> None:
    """And a name is short, and tells nothing."""
    assert items.hash_key("key", "a", "b#c") != items.hash_key("key", "a#b", "c")
    assert items.hash_key("key", None, "=a") != items.hash_key("key", "a", "")
    assert len(items.hash_key("key", "x" * 5000, "y" * 5000)) < 100
    assert "ann" not in items.hash_key("key", "ann", "k")


def test_batches_are_in_the_order_of_their_numbers() -> None:
    """As text, which is how DynamoDB sorts them; parts come after their batch, before the next."""
    firsts = (1, 2, 9, 10, 99, 100, 12_345, 999_999_999)
    keys = [
        key
        for first in firsts
        for key in (
            items.batch_key(first),
            f"{items.batch_key(first)}#01",
            items.past_batch_key(first),
        )
    ]
    assert keys == sorted(keys)
    assert all(items.FIRST_BATCH < key < items.LAST_BATCH < items.META for key in keys)


def test_a_long_blob_is_cut_into_items_that_are_small_enough() -> None:
    """Each well under 400 KB, whole again when read."""
    parts = batch(4, 2, 3 * PART_BYTES + 1)
    assert len(parts) == 4
    assert all(len(part["blob"]["B"]) <= PART_BYTES for part in parts)
    assert [part["sk"]["S"] for part in parts] == sorted(part["sk"]["S"] for part in parts)
    assert list(items.batches(parts)) == [(4, parts)]


def test_a_reader_stops_where_a_batch_is_not_whole() -> None:
    """A query may see some parts of an append before the others: then it sees none of it."""
    one, two, three = batch(1, 2), batch(3, 1, 2 * PART_BYTES + 1), batch(4, 5)
    everything = [*one, *two, *three]
    assert [first for first, _ in items.batches(everything)] == [1, 3, 4]
    for lost in two:
        some = [item for item in everything if item is not lost]
        assert [first for first, _ in items.batches(some)] == [1]
        assert [first for first, _ in items.batches(some[: -len(three)])] == [1]


def test_a_reader_stops_at_a_hole() -> None:
    """What is behind it may be read when it is filled."""
    assert [first for first, _ in items.batches([*batch(1, 2), *batch(4, 1)])] == [1]
    assert list(items.batches([])) == []


def test_ttl_is_whole_seconds() -> None:
    """DynamoDB takes no others; later rather than sooner."""
    assert items.meta_item(RUN, 100.5)["expires"] == {"N": str(101 + int(items.SLACK))}
    assert batch(1, 1)[0]["expires"] == {"N": "101"}
