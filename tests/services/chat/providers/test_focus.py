"""What says nothing of what is asked is left out, where the best sentence says it."""

from services.chat.providers.focus import keep_what_is_asked
from services.chat.providers.kinds import read_wish
from services.chat.providers.scores import weigh
from tests.services.chat.providers.bag import passages

OSLO = [
    (
        "Oslo › Districts",
        [
            "Grunerlokka in Oslo has the clubs and the bars.",
            "Frogner is the quiet quarter of Oslo.",
            "Gamlebyen is the oldest part of Oslo.",
        ],
    ),
    ("Oslo › Winter", ["Snow falls on Oslo in January.", "Ice covers the lakes of Oslo."]),
]


def keep(question: str) -> list[str]:
    """Return what is kept of Oslo for a question, best first."""
    found = passages(question, OSLO)
    evidence = sorted(weigh(question, found), key=lambda item: -item.score)
    kept = keep_what_is_asked(question, read_wish(question), evidence, found)
    return [item.unit.text for item in kept]


def test_padding_is_left_out() -> None:
    """However near the name of the place brings it."""
    assert keep("clubs in Oslo") == [OSLO[0][1][0]]
    assert keep("Is there nightlife in Oslo?") == [OSLO[0][1][0]]


def test_what_stands_under_the_topic_is_kept() -> None:
    """A heading says it for all of its sentences."""
    assert sorted(keep("the neighbourhoods of Oslo")) == sorted(OSLO[0][1])


def test_a_short_list_has_the_rest_of_its_passage() -> None:
    """One bullet is no list."""
    assert sorted(keep("best clubs in Oslo")) == sorted(OSLO[0][1])


def test_nothing_is_left_out_where_the_best_one_does_not_say_what_is_asked() -> None:
    """The question was asked in other words; nor where it lacks the number that is asked for."""
    every = sum(len(sentences) for _, sentences in OSLO)
    assert len(keep("Where do students dance in Oslo?")) == every
    assert len(keep("How many clubs are there in Oslo?")) == every
    assert len(keep("Oslo")) == every


def test_what_defines_the_thing_is_kept() -> None:
    """In its own words."""
    question = "What does the after function do?"
    pages = [
        ("List", ["`after` takes what follows in a list."]),
        ("Drawing", ["Call the after function twice.", "Air is thin."]),
    ]
    found = passages(question, pages)
    kept = keep_what_is_asked(question, read_wish(question), weigh(question, found), found)
    assert {item.unit.text for item in kept} == {pages[0][1][0], pages[1][1][0]}
