"""What nothing says makes an answer less likely, and what no document knows is refused."""

from services.chat.providers.answerability import is_sufficient
from services.chat.providers.scores import weigh
from services.passages import Passage
from tests.services.chat.providers.bag import passage
from tests.services.chat.providers.test_evidence import at


def enough(question: str, *found: Passage) -> bool:
    """Whether `question` is answered from these passages."""
    return is_sufficient(question, found, weigh(question, found))


def test_months_are_said_by_spans_and_of_tomorrow_nothing_is() -> None:
    """What the weather is like in a month is no forecast."""
    lines = ("Oslo is warm from June to August.", "The parks of Oslo are green then.")
    found = at(passage("", "Oslo › When to go", *lines), 0.6, 0.6, oslo=0.5, weather=0.5)
    assert enough("What is the weather like in Oslo in July?", found)
    assert not enough("What is the weather in Oslo tomorrow?", found)


def test_what_is_counted_nowhere_needs_more_evidence() -> None:
    """A day trip is no number of days."""
    trips = at(passage("", "Oslo › Day trips", "A day trip from Oslo goes to sea."), 0.4, 0.35)
    days = at(passage("", "Oslo › Day trips", "You see Oslo in two days by sea."), 0.4, 0.35)
    assert not enough("How many days do I need in Oslo?", trips)
    assert enough("How many days do I need in Oslo?", days)


def test_a_word_that_the_whole_index_lacks_needs_more_evidence() -> None:
    """Food in general is no halal food; a word that stands elsewhere may be said in other words."""
    lines = ("The food of Oslo is fish.", "Oslo bakes its food in cream.")
    eating = passage("", "Oslo › Eating", *lines)
    question = "Where do I find halal fish in Oslo?"
    rarity = {"oslo": 0.5, "fish": 0.5}
    assert not enough(question, at(eating, 0.5, 0.5, **rarity, halal=1.0))
    assert enough(question, at(eating, 0.5, 0.5, **rarity, halal=0.6))


def test_a_kind_of_what_a_section_is_called_has_to_be_said() -> None:
    """Where they have food, they need not have vegetarian food; nor is a hotel a luxury."""
    eating = passage("", "Oslo › Eating", "The food of Oslo is fish.", "Oslo bakes fish in cream.")
    rarity = {"oslo": 0.5, "food": 0.5, "vegetarian": 0.6}
    assert not enough("vegetarian food in Oslo", at(eating, 0.6, 0.55, **rarity))
    assert enough("food in Oslo", at(eating, 0.6, 0.55, **rarity))
    vegan = passage("", "Oslo › Eating", "The food of Oslo is vegetarian.", "Oslo bakes beans.")
    assert enough("vegetarian food in Oslo", at(vegan, 0.6, 0.55, **rarity))


def test_what_is_asked_to_be_is_likelier_said_in_its_word() -> None:
    """That there is a metro says nothing of whether it is safe."""
    line = "The metro of Oslo is old and has five lines to the hills."
    found = at(passage("", "Oslo › Getting around", line), 0.3, 0.3, oslo=0.5, metro=0.5)
    assert not enough("Is the metro of Oslo safe?", found)
    assert enough("Is the metro of Oslo old?", found)


def test_what_is_said_of_another_thing_says_nothing_of_this_one() -> None:
    """That trams are safe in Bergen does not make them so in Oslo."""
    lines = ("The trams of {} are blue and run to the hills.", "The trams of {} are safe.")
    oslo = passage("", "Oslo › Getting around", lines[0].format("Oslo"))
    bergen = [passage("", "Bergen › Getting around", line.format("Bergen")) for line in lines]
    first = at(oslo, 0.5, 0.5, oslo=0.5, trams=0.5, safe=0.7)
    elsewhere = at(bergen[1], 0.45, 0.4, oslo=0.5, trams=0.5, safe=0.7)
    assert not enough("Are the trams of Oslo safe?", first, elsewhere)
    assert enough("Are the trams of Oslo blue?", first, elsewhere)
    own = at(passage("", "Oslo › Getting around", lines[1].format("Oslo")), 0.5, 0.5, oslo=0.5)
    assert enough("Are the trams of Oslo safe?", own, elsewhere)


def test_where_something_is_kept_is_said_without_that_word() -> None:
    """A place is said by its path."""
    line = "The folder static holds the pictures of Oslo."
    found = at(passage("", "Pictures", line), 0.35, 0.35, pictures=0.5, oslo=0.5, kept=0.6)
    assert enough("Where are the pictures of Oslo kept?", found)
    assert not enough("How are the pictures of Oslo framed?", found)
