"""Read the dated price table of models, and compute costs with it.

The shipped table is `prices.json` beside this module; an installation may have its own. A model
that no line fits has no price; none is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import SetupError
from ..json_input import parse_json
from .provider import Usage

SHIPPED_PRICES = Path(__file__).with_name("prices.json")

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens: read, written, read from and written to a prompt cache."""

    input: float
    output: float
    cached: float
    stored: float

    def compute_cost(self, usage: Usage) -> float:
        """Return the cost of `usage` in US dollars."""
        plain = usage.input_tokens - usage.cached_tokens - usage.stored_tokens
        dollars = (
            plain * self.input
            + usage.cached_tokens * self.cached
            + usage.stored_tokens * self.stored
            + usage.output_tokens * self.output
        )
        return round(dollars / MILLION, 9)


FREE = Price(0.0, 0.0, 0.0, 0.0)
"""The price of a model on this machine."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Patterns of model names (``*`` is anything) and their prices, the first one first."""

    lines: tuple[tuple[str, Price], ...]

    def find(self, model: str) -> Price | None:
        """Return the price of `model`, None when no line fits."""
        return next((price for name, price in self.lines if fnmatchcase(model, name)), None)


def read_prices(path: Path | None = None) -> Prices:
    """Read the table in `path`, else the shipped one.

    Raises `SetupError` for a file that cannot be read or is no such table.
    """
    path = path or SHIPPED_PRICES
    try:
        table = parse_json(path.read_text(encoding="utf-8"))
        return Prices(tuple((str(line["model"]), _parse_price(line)) for line in table["models"]))
    except OSError as error:
        raise SetupError(f"RIVERRUN_PRICES: {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f'RIVERRUN_PRICES: {path} is no price table. It is {{"models": [{{"model": "name", '
            '"input": 1.0, "output": 5.0}]}}, in US dollars for a million tokens.'
        ) from error


def _parse_price(line: Mapping[str, Any]) -> Price:
    # Without a price of its own, a cached token costs what any other does.
    plain = _parse_dollars(line["input"])
    return Price(
        input=plain,
        output=_parse_dollars(line["output"]),
        cached=_parse_dollars(line.get("cached", plain)),
        stored=_parse_dollars(line.get("stored", plain)),
    )


def _parse_dollars(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MILLION:
        raise TypeError(f"{value!r} is no price")
    return float(value)
