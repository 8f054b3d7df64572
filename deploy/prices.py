"""Write services/chat/prices.json from the price list of the package `genai-prices`.

    make prices

The package is a development dependency and never imported at run time: it takes a third of a
second. A test compares the file with the list of the pinned version, so that neither drifts.
"""

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PRICES = Path(__file__).parent.parent / "services" / "chat" / "prices.json"

# Services that answer questions at an address of their own. OpenAI's names are known everywhere:
# gateways ask its prices under them.
SERVICES = ("aws", "azure", "anthropic", "cerebras", "cohere", "deepseek", "fireworks", "google",
            "groq", "minimax", "mistral", "moonshotai", "openrouter", "perplexity", "together",
            "x-ai", "zai", "zhipuai")  # fmt: skip
EVERYWHERE = "openai"

_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "stored": "cache_write_mtok",
    "storedHour": "cache_write_1h_mtok",
}


def main() -> int:
    """Write the file, and say what changed."""
    # At noon: the prices of some services depend on the hour, and the test has to know it.
    now = datetime.now(tz=UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    table = {
        "asOf": now.date().isoformat(),
        "source": f"genai-prices {version('genai-prices')}",
        "note": "US dollars for a million tokens, on demand, by `make prices`. Check them against "
        "your contract before you bill with them. The first pattern that fits counts.",
        **build_table(now),
    }
    PRICES.write_text(format_table(table), encoding="utf-8")
    print(f"{PRICES}: {sum(1 for _ in list_models(table))} models", file=sys.stdout)  # noqa: T201
    return 0


def build_table(now: datetime) -> dict[str, Any]:
    """Build the lines of the file as the list has them at `now`."""
    from genai_prices import data

    providers = {provider.id: provider for provider in data.providers}
    return {
        "services": [
            {
                "name": name,
                "at": providers[name].api_pattern,
                "models": list(_list_lines(providers[name], now)),
            }
            for name in SERVICES
        ],
        "models": list(_list_lines(providers[EVERYWHERE], now)),
    }


def format_table(table: dict[str, Any]) -> str:
    """Format `table` as JSON with one line for each model."""
    text = json.dumps(table, indent=1, ensure_ascii=False)
    return (
        re.sub(
            r"\{\s+\"model\": [^{}]*\}",
            lambda found: json.dumps(json.loads(found[0]), ensure_ascii=False),
            text,
        )
        + "\n"
    )


def list_models(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """List the lines of all models of `table`."""
    for service in table["services"]:
        yield from service["models"]
    yield from table["models"]


def _list_lines(provider: Any, now: datetime) -> Iterator[dict[str, Any]]:
    for model in provider.models:
        prices = model.get_prices(now)
        line = {
            ours: float(price)
            for ours, theirs in _FIELDS.items()
            if (price := _read_base(getattr(prices, theirs, None))) is not None
        }
        patterns = [pattern for pattern in _list_patterns(model.match) if pattern]
        if "input" in line and "output" in line and patterns:
            yield {"model": patterns[0] if len(patterns) == 1 else patterns, **line}


def _read_base(price: Any) -> Any:
    # Tiers begin at hundreds of thousands of tokens; no question of ours is so long.
    return getattr(price, "base", price)


def _list_patterns(clause: Any) -> Iterator[str]:
    """List the patterns of file names (``*`` is anything) that say what `clause` does."""
    kind = type(clause).__name__
    if kind == "ClauseOr":
        for part in clause.or_:
            yield from _list_patterns(part)
    elif kind == "ClauseEquals":
        yield clause.equals
    elif kind == "ClauseStartsWith":
        yield f"{clause.starts_with}*"
    elif kind == "ClauseEndsWith":
        yield f"*{clause.ends_with}"
    elif kind == "ClauseContains":
        yield f"*{clause.contains}*"
    elif kind == "ClauseRegex":
        yield _translate_regex(clause.regex)


def _translate_regex(regex: str) -> str:
    """Translate the dates that regular expressions are used for; "" for any other."""
    if not (regex.startswith("^") and regex.endswith("$")):
        return ""
    plain = re.sub(r"\\d\{(\d)\}", lambda found: "[0-9]" * int(found[1]), regex[1:-1])
    plain = plain.replace("\\.", ".").replace("\\-", "-")
    return "" if re.search(r"[\\()|+?{}^$]", plain) else plain


if __name__ == "__main__":
    sys.exit(main())
