"""What `make bench` counts of documents that were read."""

from pathlib import Path

from benchmarks.reading import check, count_listings

PAGE = """<!doctype html><title>Rules</title><h1>Rules</h1>
<h2 id="quiet">Quiet</h2><p>Quiet hours begin at ten in the evening.</p>
<pre>  def ring():
      return "bell"</pre>
<h2 id="bells">Bells</h2><p>The bell is rung at noon by the porter.</p>
"""


def test_addresses_open_and_listings_are_verbatim(tmp_path: Path) -> None:
    """Of one page: each section's own id, and its one listing less the common margin."""
    (tmp_path / "rules.html").write_text(PAGE, "utf-8")
    assert check(tmp_path) == ("2/2", "1/1")


def test_a_listing_with_a_line_that_is_not_there_is_none() -> None:
    """Also where all others are."""
    source = "```\na = 1\nb = 2\n```\n"
    assert count_listings(source, ".md", "```\na = 1\nb = 2\n```") == (1, 1)
    assert count_listings(source, ".md", "```\na = 1\n```") == (0, 1)
    assert count_listings(source, ".txt", "") == (0, 0)
