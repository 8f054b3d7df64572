"""Notebooks: text and code of the cells, in order."""

import json

import pytest

from services.context.ingest.documents import UnreadableError, Verbatim
from services.context.ingest.readers.notebook import read_notebook


def test_cells_become_text_and_code() -> None:
    """Outputs are left out; code keeps its indentation."""
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Words."]},
        {"cell_type": "code", "source": "if x:\n    y = x[0]", "outputs": [{"text": "no"}]},
        {"cell_type": "raw", "source": "Raw."},
    ]
    document = read_notebook(json.dumps({"cells": cells}).encode(), "stem")
    assert document.title == "Title"
    (section,) = document.sections
    assert section.blocks == ("Words.", Verbatim("if x:\n    y = x[0]"), "Raw.")
    assert isinstance(section.blocks[1], Verbatim)


@pytest.mark.parametrize("data", [b"{}", b"[]", b"no", b'{"cells": [1]}'])
def test_what_is_no_notebook_is_refused(data: bytes) -> None:
    """Whatever else is called so."""
    with pytest.raises(UnreadableError, match="not a notebook"):
        read_notebook(data, "stem")
