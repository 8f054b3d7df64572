"""What is said by other words: months, kinds of things, and what a heading is called."""

import pytest

from services.chat.topics import (
    collect_heading_stems,
    collect_months,
    collect_said,
    collect_topics,
)
from services.chat.words import collect_stems, stem


@pytest.mark.parametrize(
    ("text", "said", "unsaid"),
    [
        ("warm from June to early October", ("july", "june", "october"), ("may", "november")),
        ("wet between late November and February", ("december", "january"), ("march", "october")),
        ("March to May is mild", ("april",), ("june",)),
        ("every month is hot", ("july", "december"), ()),
        ("it rains all year", ("july", "december"), ()),
        ("in June and in August", (), ("july",)),
        ("the march to the tower", (), ("april",)),
    ],
)
def test_a_span_says_the_months_within(
    text: str, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    """Across the end of the year, too; two months by themselves are no span."""
    found = collect_months(text)
    assert found >= {stem(month) for month in said}
    assert found.isdisjoint(stem(month) for month in unsaid)


def test_a_general_word_is_said_by_its_kinds_and_not_the_other_way_round() -> None:
    """Clubs are nightlife; that there is a nightlife says nothing of clubs."""
    assert stem("nightlife") in collect_said("The harbour has the clubs.")
    assert stem("clubs") not in collect_said("The harbour has a nightlife.")
    assert stem("shopping") in collect_said("A market sells olives.")
    assert collect_said("Olives are green.") == collect_stems("Olives are green.")


def test_a_heading_names_its_topic_in_one_word_for_all() -> None:
    """Other words for it, and those too common to be searched for."""
    assert collect_heading_stems("Eating") >= collect_stems("food restaurants eating")
    assert collect_heading_stems("When to go") >= collect_stems("weather climate july")
    assert stem("transport") in collect_heading_stems("Getting there and around")
    assert collect_heading_stems("Museums") == collect_stems("Museums")


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("When should I visit Oslo?", "season"),
        ("best time for Oslo", "season"),
        ("How do I get around in Oslo?", "transport"),
        ("How do I get there?", "transport"),
        ("Where can I go out?", "nightlife"),
    ],
)
def test_common_words_ask_for_a_topic(question: str, topic: str) -> None:
    """Of which no single one would tell."""
    assert collect_topics(question) == {stem(topic)}


@pytest.mark.parametrize("question", ["When was it built?", "How do I get a visa?", "Oslo"])
def test_other_common_words_ask_for_none(question: str) -> None:
    """A topic is what a whole phrase says."""
    assert not collect_topics(question)
