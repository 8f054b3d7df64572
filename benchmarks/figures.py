"""What was measured, round by round, and how it stands to its target.

Knows nothing of runtimes or of how a figure is taken.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.contenders import Contender


class Figures:
    """What was measured, by figure and contender: one value for each round."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, Contender], list[float]] = defaultdict(list)

    def add(self, figure: str, contender: Contender, value: float) -> None:
        """Keep the value of one round."""
        self._values[figure, contender].append(value)

    def middle(self, figure: str, contender: Contender) -> float | None:
        """The median of the rounds, None when there were none."""
        values = self._values.get((figure, contender))
        return statistics.median(values) if values else None

    def ratio(self, figure: str, contender: Contender, other: Contender) -> float | None:
        """The median of the rounds' ratios."""
        pairs = zip(
            self._values.get((figure, contender), ()),
            self._values.get((figure, other), ()),
            strict=False,
        )
        ratios = [value / base for value, base in pairs if base]
        return statistics.median(ratios) if ratios else None

    def shown(self, figure: str, contender: Contender, form: str = ".0f") -> str:
        """The median as text."""
        value = self.middle(figure, contender)
        return "" if value is None else format(value, form)


def held(figure: str, value: float | None, target: float) -> tuple[str, str, str, str]:
    """A row: `target` is a least, or where it is negative (or -0.0) its size is a most."""
    most = str(target).startswith("-")
    limit = abs(target)
    asked = f"at {'most' if most else 'least'} {limit:g}"
    if value is None:
        return figure, asked, "", "a peer is absent"
    met = value <= limit if most else value >= limit
    shown = f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return figure, asked, shown, "met" if met else "**missed**"


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred exceeds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
