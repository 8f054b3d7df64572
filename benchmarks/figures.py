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

    def add_lags(self, figure: str, contender: Contender, lags: Sequence[float]) -> None:
        """Keep the median of a round, and what one in a hundred exceeded as `figure p99`."""
        self.add(figure, contender, statistics.median(lags))
        self.add(f"{figure} p99", contender, p99(lags))

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

    def format_median(self, figure: str, contender: Contender, form: str = ".0f") -> str:
        """The median as text."""
        value = self.middle(figure, contender)
        return "" if value is None else format(value, form)

    def shown_lags(self, figure: str, contender: Contender) -> str:
        """The medians of what `add_lags` kept, as text."""
        middle = self.format_median(figure, contender)
        return f"{middle} ({self.format_median(f'{figure} p99', contender)})" if middle else ""

    def format_ratio(self, figure: str, contender: Contender, other: Contender) -> str:
        """The ratio as text."""
        value = self.ratio(figure, contender, other)
        return "" if value is None else f"{value:.2f}"


def check_target(
    figure: str, value: float | None, target: float, floor: float | None = None
) -> tuple[str, str, str, str, str]:
    """A row: `target` is a least, or where it is negative (or -0.0) its size is a most.

    `floor` is what remains of the figure when all that the runtime is for is taken away: a
    target that it misses too is out of reach.
    """
    most = str(target).startswith("-")
    limit = abs(target)
    asked = f"at {'most' if most else 'least'} {limit:g}"
    least = "" if floor is None else _number(floor)
    if value is None:
        return figure, asked, "", least, "a peer is absent"
    if _meets(value, limit, most=most):
        verdict = "met"
    elif floor is not None and not _meets(floor, limit, most=most):
        verdict = "**missed**, out of reach"
    else:
        verdict = "**missed**"
    return figure, asked, _number(value), least, verdict


def _meets(value: float, limit: float, *, most: bool) -> bool:
    return value <= limit if most else value >= limit


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred exceeds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
