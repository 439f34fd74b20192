"""Calibration against scikit-learn's logistic regression, and on probabilities whose worth is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scd_lightning.analysis.confidence.calibration import Calibration, bins, calibrate, calibration_error
from scd_lightning.analysis.confidence.units import Units


def drawn(count, slope, shift, seed=0):
    """Units of a model whose probabilities have to be read so: right by sigmoid(slope * logit + shift)."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(1, 2, count)
    right = draw.random(count) < 1 / (1 + np.exp(-(slope * logits + shift)))
    return Units(1 / (1 + np.exp(-logits)), right.astype(float), np.arange(count))


def test_what_a_model_should_have_said_is_found():
    found = calibrate(drawn(20_000, 0.5, -0.7), chosen=False)
    assert found.temperature == pytest.approx(2, rel=0.05)
    assert found.shift == pytest.approx(-0.7, abs=0.06)
    alone = calibrate(drawn(20_000, 0.5, 0), chosen=True)
    assert (alone.temperature, alone.shift) == (pytest.approx(2, rel=0.05), 0)


def test_it_is_the_logistic_regression_of_many_units():
    # Platt's targets make little of a difference with many.
    units = drawn(50_000, 0.8, 0.3)
    logits = np.log(units.probability / (1 - units.probability))
    oracle = LogisticRegression(C=1e10, tol=1e-10).fit(logits[:, None], units.right)
    found = calibrate(units, chosen=False)
    assert 1 / found.temperature == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert found.shift == pytest.approx(oracle.intercept_[0], abs=1e-3)


@pytest.mark.parametrize("chosen", [False, True])
def test_few_that_are_all_right_make_nobody_certain(chosen):
    units = Units(np.array([0.99, 0.999, 0.9999] * 6), np.ones(18), np.arange(18))
    confidence = calibrate(units, chosen=chosen).of(units.probability)
    assert confidence.mean() == pytest.approx(19 / 20, abs=0.02)
    assert np.all(np.diff(confidence[:3]) > 0)


def test_of_nothing_nothing_is_learnt():
    nothing = Units(np.array([], float), np.array([], float), np.array([], int))
    assert calibrate(nothing, chosen=True) == Calibration()


def test_the_order_stays_and_certainty_stays_finite():
    # The surest are the wrong ones, so that a slope would turn the order around; and some are sure beyond float32.
    units = Units(np.array([0.1, 0.2, 0.3, 0.999, 1.0, 1.0]), np.array([1.0, 1, 1, 0, 0, 0]), np.arange(6))
    found = calibrate(units, chosen=False)
    confidence = found.of(np.array([0.0, 0.2, 0.9, 1.0]))
    assert np.all(np.isfinite(confidence))
    assert np.all(np.diff(confidence) > 0)


def test_a_model_that_is_surest_where_it_is_wrong_is_believed_on_average_alone():
    # Its slope, -1, is none that can be taken: what is left is how often it is right, and the order.
    units = drawn(2_000, -1, 0.5)
    confidence = calibrate(units, chosen=False).of(units.probability)
    assert confidence.mean() == pytest.approx(units.right.mean(), abs=1e-3)
    assert confidence.std() < 0.01


def test_the_error_is_the_mean_distance_of_bins():
    confidence = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
    found = bins(confidence, np.array([0.0, 1, 1, 1, 0]))
    assert [(each.count, each.right) for each in found] == [(2, 0.5), (3, pytest.approx(2 / 3))]
    expected = (2 * 0.45 + 3 * abs(2.9 / 3 - 2 / 3)) / 5
    assert calibration_error(found) == pytest.approx(expected)
    assert calibration_error([]) == 0


def test_calibrated_probabilities_are_worth_what_they_say():
    units = drawn(20_000, 0.4, -0.5)
    found, fresh = calibrate(units, chosen=False), drawn(20_000, 0.4, -0.5, seed=1)
    before = calibration_error(bins(fresh.probability, fresh.right))
    assert calibration_error(bins(found.of(fresh.probability), fresh.right)) < 0.02 < 0.1 < before
