"""What an encoder may know besides the entries: things that never change during a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known of one run besides its entries.

    `created` is epoch seconds, `model` the name that the client asked for. `names` are the ids
    under which the client knows the run (a chat, a thread); `options` are the reader's own wishes,
    such as where to continue. From the same info and the same entries come the same bytes.
    """

    run_id: str
    created: float = 0.0
    model: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
