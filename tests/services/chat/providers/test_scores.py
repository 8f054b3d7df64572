"""How units are weighed, and how much of them is quoted."""

from dataclasses import replace

import pytest

from services.chat.providers.evidence import Evidence
from services.chat.providers.kinds import Wish
from services.chat.providers.scores import share_out, weigh
from services.chat.providers.selection import MOST, choose_likely
from services.chat.providers.units import cut_units
from tests.services.chat.providers.bag import passage
from tests.services.chat.providers.test_evidence import PLAIN, at

PLAIN_WISH = Wish("plain", 3, wants_number=False)


def scored(*scores: float) -> list[Evidence]:
    """Units about nothing alike, with these scores."""
    lines = [f"{'abcdefghijkl'[place] * 12} stands here." for place in range(len(scores))]
    units = cut_units(passage("", "T", *lines), 1)
    return [Evidence(unit, score) for unit, score in zip(units, scores, strict=True)]


def test_scores_are_logarithms_of_shares() -> None:
    """However large they are, the shares of a question's units are 1 together."""
    first, second, third = share_out(scored(1001.0, 1000.0, 900.0))
    assert first + second + third == pytest.approx(1.0)
    assert first / second == pytest.approx(2.718, abs=0.001)
    assert third < 1e-40
    assert share_out([]) == []


def test_a_sure_answer_is_short_and_an_unsure_one_long() -> None:
    """Quoting stops where it is likely enough that what answers is among what is quoted."""
    assert len(choose_likely(scored(9.0, 2.0, 2.0, 2.0), PLAIN_WISH)) == 1
    assert len(choose_likely(scored(3.0, 2.5, 2.0, 1.0), PLAIN_WISH)) == 4
    assert len(choose_likely(scored(*[1.0] * 12), PLAIN_WISH)) == MOST
    assert choose_likely([], PLAIN_WISH) == []


def test_where_one_thing_is_wanted_quoting_stops_earlier() -> None:
    """A date needs no more than its sentence, if that is likely the one."""
    found = scored(5.0, 2.5, 1.7)
    assert len(choose_likely(found, PLAIN_WISH)) == 2
    assert len(choose_likely(found, Wish("plain", 2, wants_number=True))) == 1


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        ("Why is Oslo cold?", "Oslo is in the north, because of that.", "Oslo is in the north."),
        ("May Oslo be left?", "Oslo may be left by boat.", "Oslo is left by boat."),
        ("How many parks has Oslo?", "Oslo has two parks.", "Oslo has parks."),
        ("What is a fjord?", "A fjord is a narrow inlet.", "Oslo lies at a fjord."),
        ("What is of Oslo?", "A sentence of Oslo.", "It is a sentence of Oslo."),
    ],
)
def test_what_the_wording_asks_for_gains(question: str, answer: str, other: str) -> None:
    """Of two sentences as near in meaning."""
    first, second = (
        weigh(question, (at(passage("", "T", text), 0.5, 0.5),))[0].score
        for text in (answer, other)
    )
    assert first > second


def test_a_unit_gains_by_meaning_words_and_passage() -> None:
    """Each part can lift a unit above its equal."""
    question = "Where is sushi in Tokyo?"
    base = at(PLAIN, 0.5, 0.5)
    (least,) = weigh(question, (base,))
    for better in (
        at(PLAIN, 0.6, 0.5),
        at(passage("", "House rules", "Quiet sushi begins at ten."), 0.5, 0.5),
        at(PLAIN, 0.5, 0.6),
    ):
        (best,) = weigh(question, (better,))
        assert best.score > least.score
    first, second = weigh(question, (base, base))
    assert first.score > second.score


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


def test_a_heading_without_words_of_its_own_is_not_named_by_the_document() -> None:
    """ "When to go" is all common words: what stands there is not what each question is about."""
    section, plain = (
        at(passage("", f"Oslo › {heading}", "Oslo is sunny."), 0.5, 0.5)
        for heading in ("When to go", "Sun")
    )
    (first,), (second,) = (weigh("Where is fish in Oslo?", (one,)) for one in (section, plain))
    assert first.score == pytest.approx(second.score)
    first, second = weigh("When should I go to Oslo?", (plain, section))
    assert second.score > first.score + 0.1


def test_a_rare_word_counts_for_more_than_a_common_one() -> None:
    """Rarity is that of the whole index."""
    found = passage("", "T", "soup is here", "soup is there", "soup and pho", "pies are out")
    found = at(found, 0.5, 0.5, soup=0.1, pho=0.9, pies=0.9)
    by_text = {one.unit.text: one.score for one in weigh("Soup or pho or pies?", (found,))}
    assert by_text["pies are out"] > by_text["soup is here"]
    assert by_text["soup and pho"] == max(by_text.values())
