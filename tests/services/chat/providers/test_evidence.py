"""How units are weighed, and when there is nothing to answer from."""

import time
from dataclasses import replace

import pytest

from services.chat.providers.answerability import find_unsaid, is_sufficient
from services.chat.providers.evidence import is_said, weigh
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


def test_a_unit_gains_by_meaning_words_and_passage() -> None:
    """Each part can lift a unit above its equal."""
    question = "Where is sushi in Tokyo?"
    base = at(PLAIN, 0.5, 0.5)
    (least,) = weigh(question, (base,))
    for better in (
        at(PLAIN, 0.6, 0.5),
        at(passage("", "House rules", "Quiet sushi begins at ten."), 0.5, 0.5),
        at(PLAIN, 0.5, 0.6),
        at(passage("", "House rules", "Quiet hours begin at ten and end at six."), 0.5, 0.5),
    ):
        (best,) = weigh(question, (better,))
        assert best.score > least.score
    first, second = weigh(question, (base, base))
    assert first.score > second.score


def test_a_unit_gains_by_its_neighbours_and_loses_by_pointing_elsewhere() -> None:
    """What stands beside an answer is often the rest of it; a caption says nothing."""
    question = "Where is sushi in Tokyo?"
    alone = at(passage("", "T", "Ask at the desk now."), 0.5, 0.1)
    beside = at(passage("", "T", "Ask at the desk now.", "Sushi is sold there."), 0.5, 0.5)
    assert weigh(question, (beside,))[0].score > weigh(question, (alone,))[0].score
    caption = at(passage("", "T", "Table 3: the sushi of Tokyo."), 0.5, 0.5)
    plain = at(passage("", "T", "Look at the sushi of Tokyo."), 0.5, 0.5)
    assert weigh(question, (plain,))[0].score > weigh(question, (caption,))[0].score + 0.1


def test_a_name_counts_by_its_rarity_and_never_filters() -> None:
    """That every document is about SQLite tells none apart; that one is about Tokyo does."""
    question = "When is blossom in Tokyo?"
    home = at(passage("", "Tokyo", "It blossoms in March."), 0.5, 0.5)
    elsewhere = at(passage("", "Sapporo", "It blossoms in May."), 0.5, 0.5)
    gains = []
    for rarity in (0.9, 0.0):
        found = tuple(
            replace(one, rarity={"tokyo": rarity, "blossom": 0.5}) for one in (home, elsewhere)
        )
        (best,), (worse,) = (weigh(question, (one,)) for one in found)
        gains.append(best.score - worse.score)
    assert gains[0] > 0.2
    assert abs(gains[1]) < 0.01


def test_a_word_of_the_title_counts_less_than_one_that_is_said() -> None:
    """Under "Sushi", a sentence is about sushi without saying so; saying so is better."""
    plain = at(passage("", "Rules", "Wait to be seated."), 0.5, 0.5)
    titled = replace(plain, title="Rules › Sushi")
    spoken = at(passage("", "Rules", "Wait for sushi."), 0.5, 0.5)
    scores = [item.score for item in weigh("where is sushi", (plain, titled, spoken))]
    assert scores[0] < scores[1] < scores[2]


def test_a_section_that_the_question_names_whole_comes_first() -> None:
    """Before one that has as many of its words, and others."""
    named = at(passage("", "Tokyo › Day trips", "Kamakura has a beach."), 0.5, 0.5)
    other = at(passage("", "A trip through Japan › Days", "Two days are for Tokyo."), 0.5, 0.5)
    first, second = weigh("What are the best day trips from Tokyo?", (other, named))
    assert second.score > first.score


def test_a_heading_without_words_of_its_own_is_not_named_by_the_document() -> None:
    """ "When to go" is all common words: what stands there is not what each question is about."""
    section, plain = (
        at(passage("", f"Oslo › {heading}", "Oslo is sunny."), 0.5, 0.5)
        for heading in ("When to go", "Sun")
    )
    first, second = weigh("Where is fish in Oslo?", (section, plain))
    assert first.score - second.score < 0.1
    first, second = weigh("When should I go to Oslo?", (plain, section))
    assert second.score > first.score + 0.1


def test_a_rare_word_counts_for_more_than_a_common_one() -> None:
    """Rarity is that of the whole index."""
    found = passage("", "T", "soup is here", "soup is there", "soup and pho", "pies are out")
    found = at(found, 0.5, 0.5, soup=0.1, pho=0.9, pies=0.9)
    by_text = {one.unit.text: one.score for one in weigh("Soup or pho or pies?", (found,))}
    assert by_text["pies are out"] > by_text["soup is here"]
    assert by_text["soup and pho"] == max(by_text.values())


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
