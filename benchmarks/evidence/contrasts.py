"""Differences of two models over draws, with Student's t; and Holm's rule for several of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean, stdev

from scd_lightning.analysis.comparison.student_t import two_sided_quantile, two_sided_share
from scd_lightning.analysis.formatting import signed

LEVEL = 0.95
# Of metrics that are computed in float32, what lies behind is rounding.
_DIGITS = 6


@dataclass(frozen=True)
class Contrast:
    """A difference, the draw being its unit.

    Attributes:
        by_draw: The difference on each draw.
        level: The share of intervals that hold the truth.
    """

    by_draw: Mapping[int, float]
    level: float = LEVEL

    @property
    def mean(self) -> float:
        """Over draws."""
        return fmean(self.by_draw.values())

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None with one draw."""
        draws = len(self.by_draw)
        return stdev(self.by_draw.values()) / sqrt(draws) if draws > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The range that holds the true mean with the probability `level`; None with one draw."""
        if self.error is None:
            return None
        half = two_sided_quantile(self.level, len(self.by_draw) - 1) * self.error
        return self.mean - half, self.mean + half

    @property
    def side(self) -> int:
        """Where the whole interval lies: 1 above zero, -1 below it, 0 where it holds zero or there is none."""
        if self.interval is None:
            return 0
        low, high = self.interval
        return int(low > 0) - int(high < 0)

    @property
    def p(self) -> float:
        """Probability of a mean this far from zero or further, were the true one zero; 1 with one draw."""
        if self.error is None:
            return 1.0
        if self.error == 0:
            return float(self.mean == 0)
        return 1 - two_sided_share(abs(self.mean) / self.error, len(self.by_draw) - 1)

    @property
    def agreeing(self) -> int:
        """On how many draws the difference has the mean's sign."""
        return sum(each * self.mean > 0 for each in self.by_draw.values())

    def __str__(self) -> str:
        """The mean, its range, and on how many draws it has its sign.

        >>> print(Contrast({10: 0.01, 11: 0.03}))
        +0.020 (-0.107 to +0.147; 2 of 2 draws)
        >>> print(Contrast({10: 0.01}))
        +0.010 (one draw)
        """
        mean = signed(round(self.mean, _DIGITS))
        if self.interval is None:
            return f"{mean} (one draw)"
        low, high = map(signed, self.interval)
        return f"{mean} ({low} to {high}; {self.agreeing} of {len(self.by_draw)} draws)"


def contrast(ours: Mapping[int, float], theirs: Mapping[int, float], level: float = LEVEL) -> Contrast | None:
    """Ours minus theirs on the draws that both have; None where there are none.

    Args:
        ours: Draw -> value.
        theirs: The same of what it is held against.
        level: See `Contrast`.
    """
    shared = sorted(ours.keys() & theirs.keys())
    return Contrast({draw: ours[draw] - theirs[draw] for draw in shared}, level) if shared else None


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's adjusted probabilities: those below .05 stand together, with at most 5 % of families having a false one.

    Args:
        p_values: One a contrast.
        family: How many contrasts there are in all, those that are not measured yet included; None for these alone.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    family = len(p_values) if family is None else family
    adjusted = [inf] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, (family - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
