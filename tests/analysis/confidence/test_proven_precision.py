"""The least precision that counts prove, against scipy and against draws of known precision."""

import numpy as np
import pytest
from scipy import stats

from scd_lightning.analysis.confidence.proven_precision import exact_bound, least_rows, precision_bound
from scd_lightning.analysis.confidence.units import Units


@pytest.mark.parametrize(("right", "count"), [(0, 7), (1, 1), (5, 9), (59, 59), (90, 100), (4321, 5000), (9999, 10000)])
def test_the_exact_bound_is_scipys(right, count):
    expected = stats.binomtest(right, count, alternative="greater").proportion_ci(0.95, "exact").low
    assert exact_bound(right, count) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_so_many_right_ones_prove_a_level_and_one_less_does_not(level):
    needed = least_rows(level)
    assert exact_bound(needed, needed) >= level
    assert exact_bound(needed - 1, needed - 1) < level


def test_units_of_texts_of_their_own_have_the_exact_bound():
    right = np.array([1.0] * 45 + [0.0] * 5)
    assert precision_bound(Units(right, right, np.arange(50))) == exact_bound(45, 50)
    assert precision_bound(Units(right[:0], right[:0], np.arange(0))) == 0


def test_units_of_one_text_prove_less():
    # Ten texts, in each of which all is right or all is wrong: no more is known than of ten units.
    right = np.repeat([1.0] * 9 + [0.0], 30)
    bound = precision_bound(Units(right, right, np.repeat(np.arange(10), 30)))
    assert bound <= exact_bound(9, 10)
    assert bound < exact_bound(270, 300) - 0.1
    # All right: draws of texts would say 1.
    assert precision_bound(Units(np.ones(300), np.ones(300), np.repeat(np.arange(10), 30))) == exact_bound(10, 10)


def test_a_bound_by_texts_is_above_the_truth_in_five_of_a_hundred():
    draw, above = np.random.default_rng(0), 0
    for _ in range(200):
        # A text's units are right together or not: 0.8 of texts, of one to four units.
        sizes = draw.integers(1, 5, 60)
        right = np.repeat((draw.random(60) < 0.8).astype(float), sizes)
        above += precision_bound(Units(right, right, np.repeat(np.arange(60), sizes))) > 0.8
    assert above / 200 <= 0.09
