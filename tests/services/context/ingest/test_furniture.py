"""What all pages of a folder repeat."""

from services.context.ingest.documents import Document, Section
from services.context.ingest.furniture import find_furniture, remove_furniture, sample


def page(number: int) -> Document:
    """A page of a site: its name as the first heading, its slogan, and a text of its own."""
    sections = (
        Section(("Acme",), "", ("Small. Fast.", f"Last updated on 2026-01-{number:02}")),
        Section(("Acme", f"Part {number}"), "p", (f"Text {number}.",)),
        Section(("Acme", f"Part {number}", "More"), "m", ("Small. Fast.", "End.")),
    )
    return Document("Acme", sections)


def test_a_sites_name_and_slogan_are_taken_off_its_pages() -> None:
    """The first heading below names the page then."""
    furniture = find_furniture(page(number) for number in range(8))
    assert remove_furniture(page(3), furniture, "stem") == Document(
        "Part 3",
        (Section(("Part 3",), "p", ("Text 3.",)), Section(("Part 3", "More"), "m", ("End.",)))
        if "End." not in furniture.blocks
        else (Section(("Part 3",), "p", ("Text 3.",)),),
    )


def test_a_few_pages_have_no_furniture() -> None:
    """Two pages that say the same thing both mean it."""
    furniture = find_furniture(page(number) for number in range(3))
    assert remove_furniture(page(1), furniture, "stem") == page(1)


def test_a_sample_is_even_and_always_the_same() -> None:
    """In any order of the names."""
    names = [f"{number:03}.md" for number in range(200)]
    assert sample(names) == sample(list(reversed(names)))
    assert len(sample(names)) == 40
    assert sample(names[:3]) == names[:3]
