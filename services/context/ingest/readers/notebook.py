"""Jupyter notebooks: the text of their cells, and the code as it stands; no outputs."""

from ....json_input import parse_json
from ..documents import Document, UnreadableError, decode
from .markdown import read_markdown_text


def read_notebook(data: bytes, title: str) -> Document:
    """Read a notebook as the Markdown it would be. Raises `UnreadableError` when it is none."""
    try:
        notebook = parse_json(decode(data))
        cells = notebook["cells"]
        parts = [_cell(cell) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError("is not a notebook of format 4; save it again") from error
    return read_markdown_text("\n\n".join(parts), title)


def _cell(cell: dict[str, object]) -> str:
    source = cell.get("source") or ""
    text = "".join(source) if isinstance(source, list) else str(source)
    if cell.get("cell_type") == "code":
        return f"~~~~~~\n{text}\n~~~~~~"
    return text
