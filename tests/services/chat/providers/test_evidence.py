"""How units are weighed, and when there is nothing to answer from."""

import time
from dataclasses import replace

import pytest

from services.chat.providers.answerability import find_unsaid, is_sufficient
from services.chat.providers.evidence import is_said
from services.chat.providers.scores import weigh
from services.chat.words import stem
from services.passages import Passage, Sentence
from tests.services.chat.providers.bag import passage, vector


def at(passage: Passage, similarity: float, score: float, **rarity: float) -> Passage:
    """`passage` with these cosines and rarities instead of its own."""
    sentences = tuple(replace(item, similarity=similarity) for item in passage.sentences)
    return replace(passage, sentences=sentences, score=score, rarity=rarity)


def enough(question: str, *found: Passage) -> bool:
    """Whether `question` is answered from these passages."""
    return is_sufficient(question, found, weigh(question, found))


TOKYO = passage("", "Tokyo › Eating", "Tokyo has sushi restaurants.", "Ramen needs no booking.")
OSAKA = passage("", "Osaka › Eating", "Osaka, unlike Tokyo, loves octopus.")
PLAIN = passage("", "House rules", "Quiet hours begin at ten.")


@pytest.mark.parametrize(("score", "answered"), [(0.6, True), (-0.3, False)])
def test_a_likeness_too_faint_is_no_evidence(score: float, answered: bool) -> None:
    """The passage must be like the question, or say its words."""
    assert (
        enough("When do the silent hours of the house begin?", at(PLAIN, score, score)) is answered
    )


def test_what_is_asked_about_a_name_decides_not_the_name() -> None:
    """A guide to Seoul that says nothing of vegetarians has no answer for one."""
    seoul = passage("", "Seoul › Eating", "Seoul grills pork belly.", "Seoul loves fried chicken.")
    found = at(seoul, 0.45, 0.45, seoul=0.5, vegetarian=0.9, pork=0.9)
    assert not enough("I'm vegetarian, what can I eat in Seoul?", replace(found, score=0.35))
    assert enough("Where is pork in Seoul?", found)
    assert enough("Tell me about Seoul", found)


def test_an_exact_code_or_year_must_be_said() -> None:
    """E1043 is not E1042, and Tokyo in 2031 is not Tokyo."""
    found = at(passage("", "Errors", "E1042 means the disk is full."), 0.5, 0.5)
    assert enough("What does E1042 mean?", found)
    assert not enough("What does E1043 mean?", found)
    assert not enough("Who won in Tokyo in 2031?", at(TOKYO, 0.6, 0.6))


@pytest.mark.parametrize(
    ("said", "asked", "same"),
    [
        ("Japan", "Japanese", True),
        ("Italy", "Italian", True),
        ("Mexico", "Mexican", True),
        ("island", "Iceland", False),
        ("Austria", "Australia", False),
        ("river", "Riverrun", False),
    ],
)
def test_a_name_is_said_in_its_other_forms_but_not_by_its_neighbours(
    said: str, asked: str, same: bool
) -> None:
    """Endings of peoples and places are forms; a likeness of letters is not."""
    assert is_said(stem(asked.casefold()), {stem(said.casefold())}) is same


def test_what_is_there_and_what_is_missing_is_named_as_it_was_asked() -> None:
    """For a refusal that helps."""
    assert find_unsaid("Is there a Dentist in Tokyo for sushi lovers?", (TOKYO, OSAKA)) == (
        ["Tokyo"],
        ["Dentist", "lovers"],
    )
    assert find_unsaid("How many days do I need in Tokyo?", (TOKYO,)) == (["Tokyo"], ["days"])
    seen = replace(TOKYO, rarity={"vegan": 1.0, "food": 0.4})
    assert find_unsaid("vegan food in Tokyo", (seen,)) == (["Tokyo"], ["vegan"])


def test_a_heading_answers_for_its_topic_but_not_for_more_than_that() -> None:
    """Under "Eating" stands what the food is like; of vegan food it says nothing."""
    rarity = {"food": 0.5, "oslo": 0.5, "vegan": 0.9}
    lines = ("Oslo bakes cod in cream.", "The buns of Oslo are full of cardamom.")
    eating, parks = (
        at(passage("", f"Oslo › {heading}", *lines), 0.6, 0.6, **rarity)
        for heading in ("Eating", "Parks")
    )
    assert enough("What is the food like in Oslo?", eating)
    assert not enough("What is the food like in Oslo?", parks)
    assert not enough("Is there vegan food in Oslo?", eating)
    assert find_unsaid("Is there vegan food in Oslo?", (eating,)) == (["Oslo"], ["vegan"])


def test_a_keyword_by_itself_asks_for_all_that_says_it() -> None:
    """And nothing is likelier to be meant."""
    found = at(passage("", "Oslo › Parks", "Wine is sold in one shop only."), 0.2, 0.2, wine=0.4)
    assert enough("wine", found)
    assert not enough("cheese", found)
    assert not enough("", found)


def test_no_passages_or_no_sentences_are_no_evidence() -> None:
    """Then the honest answer is none."""
    assert not enough("Anything?")
    assert not enough("Anything?", replace(PLAIN, sentences=()))
    assert not enough("", at(PLAIN, 0.1, 0.1))


def test_a_question_of_the_longest_kind_is_weighed_in_bounded_time() -> None:
    """8,000 characters of names against 20 passages take a moment, not minutes."""
    sentence = Sentence("Tokyo is large and Kyoto is old.", 0.3, vector("Tokyo"))
    found = [replace(TOKYO, sentences=(sentence,) * 10)] * 20
    began = time.process_time()
    for question in ("zz Qqqq " * 1000, "in abc" + " " * 7900 + "1", ". " * 2000 + "A. " * 1300):
        enough(question, *found)
    assert time.process_time() - began < 5  # some 30 ms; without bounds, minutes


def test_across_languages_only_meaning_tells() -> None:
    """There are no words that could be said."""
    found = replace(at(TOKYO, 0.5, 0.4), shares_words=False)
    assert enough("Wo isst man in Tokio gut Sushi?", found)
    assert not enough(
        "Wo isst man in Tokio gut Sushi?", replace(at(TOKYO, 0.2, 0.4), shares_words=False)
    )
