"""How sentences are weighed, and when there is nothing to answer from."""

import time
from dataclasses import replace

import pytest

from services.chat.providers.evidence import Evidence, select_sufficient, weigh
from services.passages import Passage, Sentence
from tests.services.chat.providers.bag import passage, vector


def at(passage: Passage, similarity: float, score: float) -> Passage:
    """`passage` with these cosines instead of its own."""
    sentences = tuple(replace(item, similarity=similarity) for item in passage.sentences)
    return replace(passage, sentences=sentences, score=score)


def answered(question: str, *found: Passage) -> list[Evidence]:
    """The evidence left to answer `question` from."""
    return select_sufficient(question, found, weigh(question, found))


TOKYO = passage("", "Tokyo › Eating", "Tokyo has sushi restaurants.", "Ramen needs no booking.")
OSAKA = passage("", "Osaka › Eating", "Osaka, unlike Tokyo, loves octopus.")
PLAIN = passage("", "House rules", "Quiet hours begin at ten.")


def test_a_sentence_gains_by_meaning_words_passage_and_subject() -> None:
    """Each part can lift a sentence above its equal."""
    question = "Where is sushi in Tokyo?"
    base = at(PLAIN, 0.5, 0.5)
    for better in (
        at(PLAIN, 0.6, 0.5),
        at(passage("", "House rules", "Quiet sushi begins at ten."), 0.5, 0.5),
        at(PLAIN, 0.5, 0.6),
    ):
        worse, best = weigh(question, (base, better))
        assert best.score > worse.score
        assert (worse.rank, best.rank) == (1, 2)


def test_a_sentence_gains_where_the_title_names_what_is_asked() -> None:
    """Of two sentences about Tokyo, that of the page about Tokyo is the better."""
    elsewhere = at(passage("", "Sapporo", "Tokyo blossoms in March."), 0.5, 0.5)
    at_home = replace(elsewhere, title="Tokyo")
    worse, best = weigh("When is blossom in Tokyo?", (elsewhere, at_home))
    assert best.score > worse.score


def test_a_word_of_the_title_counts_for_its_sentences_by_half() -> None:
    """Under "Sushi", a sentence is about sushi without saying so; saying so is better."""
    plain = at(passage("", "Rules", "Wait to be seated."), 0.5, 0.5)
    titled = replace(plain, title="Sushi")
    spoken = at(passage("", "Rules", "Wait for sushi."), 0.5, 0.5)
    scores = [item.score for item in weigh("where is sushi", (plain, titled, spoken))]
    assert scores[0] < scores[1] < scores[2]


def test_a_rare_word_counts_for_more_than_a_common_one() -> None:
    """Rarity is read off the sentences at hand."""
    found = passage("", "T", "soup here", "soup there", "soup and pho", "pies", "soup twice")
    item = weigh("Soup or pho or pies?", (at(found, 0.5, 0.5),))
    by_text = {one.sentence.text: one.score for one in item}
    assert by_text["pies"] > by_text["soup here"]
    assert by_text["soup and pho"] == max(by_text.values())


@pytest.mark.parametrize(("similarity", "score", "enough"), [(0.3, 0.3, True), (0.3, 0.25, False)])
def test_a_likeness_too_faint_is_no_evidence(similarity: float, score: float, enough: bool) -> None:
    """Sentence and passage must be like the question between them."""
    assert bool(answered("When should we be silent?", at(PLAIN, similarity, score))) is enough


def test_a_name_no_passage_says_needs_far_more() -> None:
    """A guide to Tokyo does not answer for Nairobi, however alike the questions are."""
    assert not answered("What are the best restaurants in Nairobi?", at(TOKYO, 0.58, 0.58))
    assert answered("What are the best restaurants in Tokyo?", at(TOKYO, 0.58, 0.58))
    assert answered("What are the best restaurants in Tokio?", at(TOKYO, 0.65, 0.65))


def test_a_long_description_may_call_a_thing_what_it_likes() -> None:
    """What is described can be alike even if the name is another."""
    question = "Where are windmills and fields of flowering tulips near the Dutch capital?"
    assert answered(question, at(PLAIN, 0.5, 0.5))
    assert not answered("Where are the Dutch?", at(PLAIN, 0.5, 0.5))


def test_a_name_a_passage_says_is_evidence_in_itself() -> None:
    """A code is found by its letters; its meaning is faint to a vector."""
    found = at(passage("", "Errors", "E1042 means the disk is full."), 0.26, 0.1)
    assert answered("What does E1042 mean?", found)
    assert not answered("What does E1043 mean?", found)
    assert not answered("What does E1042 mean?", at(found, 0.2, 0.2))


def test_a_year_or_code_must_be_said_even_where_the_place_is() -> None:
    """Tokyo is in the passage, 2031 is not."""
    assert not answered("Who won in Tokyo in 2031?", at(TOKYO, 0.4, 0.4))


def test_only_passages_that_say_the_name_are_quoted() -> None:
    """An answer about Osaka does not wander off to other towns."""
    found = (at(TOKYO, 0.6, 0.6), at(OSAKA, 0.5, 0.5), at(PLAIN, 0.5, 0.5))
    assert {item.rank for item in answered("What does Osaka eat?", *found)} == {2}


@pytest.mark.parametrize(
    ("said", "asked", "same"),
    [
        ("Japan", "Japanese", True),
        ("Italy", "Italian", True),
        ("Mexico", "Mexican", True),
        ("island", "Iceland", False),
        ("Austria", "Australia", False),
        ("river", "Riverrun", False),
        ("Sacré-Cœur", "Sacre-Coeur", True),
    ],
)
def test_a_name_is_said_in_its_other_forms_but_not_by_its_neighbours(
    said: str, asked: str, same: bool
) -> None:
    """Endings of peoples and places are forms; a likeness of letters is not."""
    found = at(passage("", "Notes", f"We like {said} here."), 0.4, 0.4)
    assert bool(answered(f"Do you know {asked}?", found)) is same


def test_no_passages_or_no_sentences_are_no_evidence() -> None:
    """Then the honest answer is none."""
    assert answered("Anything?") == []
    assert answered("Anything?", replace(PLAIN, sentences=())) == []
    assert answered("", at(PLAIN, 0.1, 0.1)) == []


def test_a_question_of_the_longest_kind_is_weighed_in_bounded_time() -> None:
    """8,000 characters of names against 20 passages take a moment, not minutes."""
    sentence = Sentence("Tokyo is large and Kyoto is old.", 0.3, vector("Tokyo"))
    found = [replace(TOKYO, sentences=(sentence,) * 10)] * 20
    began = time.perf_counter()
    for question in ("zz Qqqq " * 1000, "in abc" + " " * 7900 + "1", ". " * 2000 + "A. " * 1300):
        answered(question, *found)
    assert time.perf_counter() - began < 2  # some 30 ms; without bounds, minutes
