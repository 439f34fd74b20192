"""How a student stands to another model, in the words that reports and comparisons share."""

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.formatting import number, signed

VALIDATED = (
    "Scores are of the validation split, on which weights are picked too: they are for choosing settings, and too good "
    "to report."
)


def standing(found: Interval, other: str, unit: str = "seed") -> str:
    """Says on which side of another model a student is: above or below where the interval leaves out zero.

    Args:
        found: The student minus the other.
        other: What to call the other.
        unit: What the mean is over: "seed" or "draw".

    >>> standing(Interval(0.02, 0.01, 0.03, 0.95, 1, 300), "its teacher")
    'above its teacher by 0.020 (95 % interval +0.010 to +0.030)'
    >>> standing(Interval(-0.02, -0.07, 0.03, 0.95, 3, 300, [-0.03, 0.01, -0.04]), "its teacher", "draw")
    'lower than its teacher by 0.020, 2 of 3 draws, not told apart (95 % interval -0.070 to +0.030)'
    """
    if found.value == found.low == found.high == 0:
        return f"equal to {other}, whichever samples are drawn"
    by = f"{other} by {number(abs(found.value))}"
    if found.side:
        return f"{'above' if found.side > 0 else 'below'} {by} ({interval(found)})"
    if found.value == 0:
        return f"level with {other}, not told apart ({interval(found)})"
    agreeing = sum(each * found.value > 0 for each in found.by_seed)
    # Of one seed there is nothing to count.
    how_often = "" if found.seeds == 1 else f", {agreeing} of {found.seeds} {unit}s"
    return f"{_than(found.value)} {by}{how_often}, not told apart ({interval(found)})"


def standing_without_interval(difference: float, other: str) -> str:
    """Says the same of a difference whose interval can't be told.

    >>> standing_without_interval(-0.02, "its teacher"), standing_without_interval(0.0, "its teacher")
    ('lower than its teacher by 0.020', 'level with its teacher')
    """
    if difference == 0:
        return f"level with {other}"
    return f"{_than(difference)} {other} by {number(abs(difference))}"


def interval(found: Interval) -> str:
    """Formats a range.

    >>> interval(Interval(0.02, -0.0104, 0.05, 0.95, 2, 300))
    '95 % interval -0.010 to +0.050'
    """
    return f"{100 * found.level:.0f} % interval {bounds(found)}"


def bounds(found: Interval | None) -> str:
    """Formats a range's ends alone; a dash where there is none."""
    return number(None) if found is None else f"{signed(found.low)} to {signed(found.high)}"


def _than(difference: float) -> str:
    return "higher than" if difference > 0 else "lower than"
