"""The learning rate against its formula, written out."""

import math

import pytest

from scd_lightning.training.learning_rate import learning_rate_factor

# Ten steps a stage, ceil(10 %) = 1 of them warm-up: then the cosine of the other nine, written out.
TEN = [1.0, 1.0, 0.9698463, 0.8830222, 0.75, 0.5868241, 0.4131759, 0.25, 0.1169778, 0.0301537]


def test_learning_rate_restarts_with_each_stage():
    factors = [learning_rate_factor(step, 10, 0.1) for step in range(30)]
    assert factors == pytest.approx(TEN * 3, abs=1e-6)


@pytest.mark.parametrize(
    ("stage_steps", "warmup", "climb"),
    [(10, 0.0, 1), (10, 0.1, 1), (11, 0.1, 2), (20, 0.25, 5), (1, 0.1, 1), (4, 1.0, 4)],
)
def test_warm_up_takes_at_least_a_step(stage_steps, warmup, climb):
    factors = [learning_rate_factor(step, stage_steps, warmup) for step in range(stage_steps)]
    assert factors[:climb] == pytest.approx([(step + 1) / climb for step in range(climb)])
    rest = stage_steps - climb
    assert factors[climb:] == pytest.approx([math.cos(math.pi * i / (2 * rest)) ** 2 for i in range(rest)])


def test_a_scale_is_a_factor_and_1_changes_no_bit():
    plain = [learning_rate_factor(step, 11, 0.2) for step in range(22)]
    assert [learning_rate_factor(step, 11, 0.2, 1.0) for step in range(22)] == plain
    assert [learning_rate_factor(step, 11, 0.2, 3.0) for step in range(22)] == pytest.approx([3 * f for f in plain])
    assert max(learning_rate_factor(step, 11, 0.2, 3.0) for step in range(22)) == 3.0
