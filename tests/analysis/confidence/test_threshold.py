"""Thresholds that validation proves: how often a proof is wrong, and what is tried in which order."""

import numpy as np
import pytest

from scd_lightning.analysis.confidence.proven_precision import precision_bound
from scd_lightning.analysis.confidence.threshold import accepted, find_threshold, tried
from scd_lightning.analysis.confidence.units import Units


def drawn(draw, count):
    """Units that are right as often as the square root of their probability says."""
    probability = draw.random(count)
    return Units(probability, (draw.random(count) < np.sqrt(probability)).astype(float), np.arange(count))


def precision_from(threshold):
    """The true precision of what a threshold takes: the mean of sqrt over [threshold, 1]."""
    return 2 / 3 * (1 - threshold**1.5) / (1 - threshold)


@pytest.mark.slow
def test_a_proof_is_wrong_in_five_of_a_hundred_at_most():
    draw, wrong, found, level = np.random.default_rng(0), 0, 0, 0.8
    for _ in range(120):
        threshold = find_threshold(level, tried(drawn(draw, 300), drawn(draw, 300))).threshold
        found += threshold is not None
        wrong += threshold is not None and precision_from(threshold) < level
    assert wrong / 120 <= 0.1  # Two and a half standard errors above.
    assert found > 60  # And there is something to it.


def test_the_lowest_threshold_of_an_unbroken_sequence_is_taken():
    draw = np.random.default_rng(1)
    sequence = tried(drawn(draw, 500), drawn(draw, 500))
    thresholds = [threshold for threshold, _ in sequence]
    assert thresholds == sorted(thresholds, reverse=True)
    found = find_threshold(0.85, sequence)
    assert found.threshold is not None
    place = thresholds.index(found.threshold)
    assert all(each.at_least >= 0.85 for _, each in sequence[: place + 1])
    assert sequence[place + 1][1].at_least < 0.85
    assert found.checked == sequence[place][1]


def test_where_none_is_proven_the_first_one_says_what_can_be():
    draw = np.random.default_rng(2)
    sequence = tried(drawn(draw, 60), drawn(draw, 60))
    found = find_threshold(0.99, sequence)
    assert (found.threshold, found.needed) == (None, 299)
    assert found.best == found.checked.at_least == sequence[0][1].at_least
    # It is the best indeed: what it says can be proven, and no more.
    assert find_threshold(found.best, sequence).threshold is not None
    assert find_threshold(found.best + 1e-6, sequence).threshold is None


def test_labels_of_the_checked_half_decide_nothing_that_is_tried():
    draw = np.random.default_rng(3)
    tuned, checked = drawn(draw, 200), drawn(draw, 200)
    turned = Units(checked.probability, 1 - checked.right, checked.text)
    assert [each for each, _ in tried(tuned, checked)] == [each for each, _ in tried(tuned, turned)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_units_prove_little_and_break_nothing(count):
    units = Units(np.full(count, 0.5), np.ones(count), np.arange(count))
    found = find_threshold(0.9, tried(units, units))
    assert found.threshold is None
    assert found.best == precision_bound(units)


def test_what_a_threshold_takes_is_counted():
    units = Units(np.array([0.9, 0.8, 0.8, 0.1]), np.array([1.0, 1, 0, 1]), np.arange(4))
    found = accepted(units, 0.8)
    assert (found.count, found.share, found.right) == (3, 0.75, pytest.approx(2 / 3))
    nothing = accepted(units, 0.95)
    assert (nothing.count, nothing.share, nothing.right, nothing.at_least) == (0, 0, None, 0)
