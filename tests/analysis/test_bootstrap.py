import numpy as np
import pytest

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.statistics import Statistic
from scd_lightning.tasks.measures import Mean


def scores(hits, weight) -> Statistic:
    return Statistic(Mean("any"), np.stack([hits, weight], axis=1).astype(float))


def test_value_is_the_ratio_of_sums():
    assert scores([1, 0, 2], [2, 0, 4]).value == 0.5


def test_draws_have_the_spread_that_theory_gives():
    hits = np.random.default_rng(3).random(400) < 0.7
    drawn = scores(hits, np.ones(400)).resampled
    assert drawn.mean() == pytest.approx(hits.mean(), abs=0.003)
    assert drawn.std() == pytest.approx(hits.std() / 20, rel=0.06)


@pytest.mark.parametrize(("low", "high", "side"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0, 0.1, 0)])
def test_an_interval_lies_on_one_side_only_where_it_leaves_out_zero(low, high, side):
    assert Interval(0.0, low, high, 0.95, 1, 10).side == side
