import pytest

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.standing import bounds, interval, standing, standing_without_interval


def found(value: float, low: float, high: float, *by_seed: float) -> Interval:
    return Interval(value, low, high, 0.95, len(by_seed) or 1, 300, list(by_seed))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (found(0.02, 0.01, 0.03), "above it by 0.020 (95 % interval +0.010 to +0.030)"),
        (found(-0.02, -0.03, -0.01), "below it by 0.020 (95 % interval -0.030 to -0.010)"),
        (found(0.02, -0.01, 0.05), "higher than it by 0.020, not told apart (95 % interval -0.010 to +0.050)"),
        (
            found(0.02, -0.01, 0.05, 0.04, 0.03, -0.01),
            "higher than it by 0.020, 2 of 3 draws, not told apart (95 % interval -0.010 to +0.050)",
        ),
        (
            found(-0.02, -0.05, 0.01, -0.04, 0.0),
            "lower than it by 0.020, 1 of 2 draws, not told apart (95 % interval -0.050 to +0.010)",
        ),
        (found(0.0, -0.05, 0.05, -0.04, 0.04), "level with it, not told apart (95 % interval -0.050 to +0.050)"),
        (found(0.0, 0.0, 0.0), "equal to it, whichever samples are drawn"),
    ],
)
def test_standing_goes_by_the_interval(given, text):
    assert standing(given, "it", "draw") == text


def test_without_an_interval_nothing_is_above_or_below():
    assert standing_without_interval(0.1, "it") == "higher than it by 0.100"
    assert standing_without_interval(-0.1, "it") == "lower than it by 0.100"
    assert standing_without_interval(0.0, "it") == "level with it"


def test_bounds_have_signs():
    assert bounds(found(0.0, -0.01, 0.25)) == "-0.010 to +0.250"
    assert bounds(None) == "–"
    assert interval(found(0.0, -0.01, 0.25)) == "95 % interval -0.010 to +0.250"
