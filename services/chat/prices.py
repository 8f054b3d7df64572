"""Read the dated price table of models, and compute costs with it.

The shipped table is `prices.json` beside this module; an installation may have its own. A model
that no line fits has no price; none is guessed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import SetupError
from ..json_input import parse_json
from .provider import ModelUsage

SHIPPED_PRICES = Path(__file__).with_name("prices.json")

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens: read, written, read from and written to a prompt cache."""

    input: float
    output: float
    cached: float
    stored: float
    stored_hour: float = 0.0

    def compute_cost(self, usage: ModelUsage) -> float:
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


class PriceLine(NamedTuple):
    """A pattern of model names (``*`` is anything) and its price."""

    pattern: str
    price: Price


@dataclass(frozen=True, slots=True)
class Prices:
    """The lines of a table for one service, the first one that fits first."""

    lines: tuple[PriceLine, ...]

    def find(self, model: str) -> Price | None:
        """Return the price of `model`, None when no line fits.

        Of an inference profile's ARN the last part is its name.
        """
        name = model.rpartition("/")[2] if model.startswith("arn:") else model
        return next((price for pattern, price in self.lines if fnmatchcase(name, pattern)), None)


def read_prices(path: Path | None = None, *, at: str = "") -> Prices:
    """Read the table in `path`, else the shipped one, as it counts for the service at `at`.

    Raises `SetupError` for a file that cannot be read or is no such table.
    """
    # The shipped file is large, and was not made by a stranger: its depth is not checked.
    parse = parse_json if path is not None else json.loads
    path = path or SHIPPED_PRICES
    try:
        return Prices(tuple(_list_lines(parse(path.read_text(encoding="utf-8")), at)))
    except OSError as error:
        raise SetupError(f"RIVERRUN_PRICES: {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, re.error) as error:
        raise SetupError(
            f'RIVERRUN_PRICES: {path} is no price table. It is {{"models": [{{"model": "name", '
            '"input": 1.0, "output": 5.0}]}}, in US dollars for a million tokens.'
        ) from error


def _list_lines(table: Mapping[str, Any], at: str) -> Iterator[PriceLine]:
    # What one service asks for a model says nothing of another; a thousand lines stay unread.
    lines = list(table["models"])
    for service in reversed(table.get("services", ())):
        if re.match(service["at"], at):
            lines = [*service["models"], *lines]
    for line in lines:
        price = _parse_price(line)
        names = line["model"] if isinstance(line["model"], list) else [line["model"]]
        for name in names:
            yield PriceLine(str(name), price)


def _parse_price(line: Mapping[str, Any]) -> Price:
    # Without a price of its own, a cached token costs what any other does.
    plain = _parse_dollars(line["input"])
    return Price(
        input=plain,
        output=_parse_dollars(line["output"]),
        cached=_parse_dollars(line.get("cached", plain)),
        stored=_parse_dollars(line.get("stored", plain)),
        stored_hour=_parse_dollars(line.get("storedHour", line.get("stored", plain))),
    )


def _parse_dollars(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MILLION:
        raise TypeError(f"{value!r} is no price")
    return float(value)
