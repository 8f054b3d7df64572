"""The words that carry a subject."""

from services.context.words import content_words, is_english, singular, words


def test_common_words_do_not_count() -> None:
    """What is left is what the question is about, each word once, in order."""
    assert content_words("What are the best restaurants in Tokyo?") == ["restaurants", "tokyo"]


def test_words_are_letters_and_digits() -> None:
    """Punctuation, also an underscore, only separates: so does the full-text index."""
    assert words("E-1042, snake_case & café") == ["e", "1042", "snake", "case", "café"]


def test_a_plural_meets_its_singular() -> None:
    """Roughly, and never a short word or one in "ss"."""
    pairs = {"museums": "museum", "cities": "city", "glass": "glass", "gas": "gas", "bus": "bus"}
    assert {word: singular(word) for word in pairs} == pairs


def test_another_language_is_told_by_its_lack_of_common_words() -> None:
    """Short questions and English ones are taken for English."""
    for english in ("What is there to eat in Rome?", "best museums", "How do I pay the tram?"):
        assert is_english(english)
    for other in (
        "Wann blühen in Kyoto die Kirschen?",
        "¿Qué se come en Atenas?",
        "Où manger bien ?",
    ):
        assert not is_english(other)
