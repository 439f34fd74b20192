"""Budgets in samples come to whole epochs of a stage."""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.config.settings import Budget
from scd_lightning.errors import ConfigError

COUNT = st.integers(1, 10**6)


@given(samples=st.integers(1, 10**9), stages=st.integers(1, 12), rows=COUNT)
def test_samples_are_rounded_to_whole_epochs_of_a_stage(samples, stages, rows):
    found = Budget(stages, samples=samples, lr_scale=0.5).on(rows)
    exact = Decimal(samples) / Decimal(stages * rows)
    assert found.stage_epochs == max(1, exact.quantize(Decimal(1), ROUND_HALF_UP))
    assert found == Budget(stages, found.stage_epochs, lr_scale=0.5)
    assert found.epochs == stages * found.stage_epochs
    # No whole number of epochs a stage is nearer.
    distances = [abs(Fraction(samples) - stages * rows * other) for other in (found.stage_epochs + 1, 1)]
    assert abs(Fraction(samples) - stages * rows * found.stage_epochs) <= min(distances)


@given(stages=st.integers(1, 12), rows=COUNT, epochs=st.integers(1, 500))
def test_a_half_goes_up_whether_odd_or_even(stages, rows, epochs):
    half = Budget(stages, samples=stages * (2 * epochs + 1) * rows).on(2 * rows)
    assert half.stage_epochs == epochs + 1


@given(stages=st.integers(1, 12), rows=COUNT, epochs=st.integers(1, 500))
def test_what_whole_epochs_are_they_come_to(stages, rows, epochs):
    whole = Budget(stages, epochs)
    assert whole.on(rows) == whole
    assert replace(whole, stage_epochs=7, samples=stages * epochs * rows).on(rows) == whole


@pytest.mark.parametrize("samples", [0, -1, "many"])
def test_other_numbers_of_samples_are_none(samples):
    with pytest.raises(ConfigError, match=r"budget\.samples"):
        Budget(samples=samples)
