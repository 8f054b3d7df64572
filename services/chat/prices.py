"""What models cost: a dated table in a file, and sums with it.

The shipped table is `prices.json` beside this module; an installation may have its own. A model
that no line fits has no price, and nobody guesses one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import SetupError
from .provider import Usage

SHIPPED = Path(__file__).with_name("prices.json")

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens: read, written, read from and written to a prompt cache."""

    input: float
    output: float
    cached: float
    stored: float

    def of(self, usage: Usage) -> float:
        """What `usage` costs, in US dollars."""
        plain = usage.input_tokens - usage.cached_tokens - usage.stored_tokens
        dollars = (
            plain * self.input
            + usage.cached_tokens * self.cached
            + usage.stored_tokens * self.stored
            + usage.output_tokens * self.output
        )
        return round(dollars / MILLION, 9)


FREE = Price(0.0, 0.0, 0.0, 0.0)
"""What a model on this machine costs."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Patterns of model names (``*`` is anything) and their prices, the first one first."""

    lines: tuple[tuple[str, Price], ...]

    def of(self, model: str) -> Price | None:
        """The price of `model`, None when no line fits."""
        return next((price for name, price in self.lines if fnmatchcase(model, name)), None)


def read_prices(path: Path | None = None) -> Prices:
    """The table in `path`, else the shipped one.

    Raises `SetupError` for a file that cannot be read or is no such table.
    """
    path = path or SHIPPED
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return Prices(tuple((str(line["model"]), _price(line)) for line in table["models"]))
    except OSError as error:
        raise SetupError(f"RIVERRUN_PRICES: {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f'RIVERRUN_PRICES: {path} is no price table. It is {{"models": [{{"model": "name", '
            '"input": 1.0, "output": 5.0}]}}, in US dollars for a million tokens.'
        ) from error


def _price(line: Mapping[str, Any]) -> Price:
    # Without a price of its own, a cached token costs what any other does.
    plain = _dollars(line["input"])
    return Price(
        input=plain,
        output=_dollars(line["output"]),
        cached=_dollars(line.get("cached", plain)),
        stored=_dollars(line.get("stored", plain)),
    )


def _dollars(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MILLION:
        raise TypeError(f"{value!r} is no price")
    return float(value)
