"""Policies against the choices written out by hand."""

import math
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.schedules.policies import FixedOrder, ScheduledCheckpoint, Scores, SingleBest, candidates


def scores(best_kl=None, student_kl=None, best=2, num_checkpoints=4):
    return Scores(best, num_checkpoints, best_kl, student_kl)


def test_single_best_takes_the_best_always():
    policy = SingleBest()
    assert not policy.needs_scores
    assert [policy.select(stage, scores(), [2] * stage) for stage in range(3)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("num_checkpoints", "num_stages", "expected"),
    [
        (4, 4, [0, 1, 2, 3]),
        (2, 4, [0, 0, 1, 1]),
        (4, 2, [1, 3]),
        (4, 1, [3]),
        (1, 3, [0, 0, 0]),
        (3, 2, [1, 2]),
        (4, 3, [1, 2, 3]),
        (3, 4, [0, 1, 2, 2]),
    ],
)
def test_fixed_order_spreads_the_checkpoints(num_checkpoints, num_stages, expected):
    policy = FixedOrder(num_stages)
    assert not policy.needs_scores
    chosen: list[int] = []
    for stage in range(num_stages):
        chosen.append(policy.select(stage, scores(num_checkpoints=num_checkpoints), chosen))
    assert chosen == expected


@given(st.integers(1, 50), st.integers(1, 50))
def test_fixed_order_is_even_and_ends_with_the_last(num_checkpoints, num_stages):
    policy = FixedOrder(num_stages)
    chosen = [policy.select(stage, scores(num_checkpoints=num_checkpoints), []) for stage in range(num_stages)]
    assert chosen == sorted(chosen)
    assert chosen[0] >= 0
    assert chosen[-1] == num_checkpoints - 1
    if num_stages >= num_checkpoints:
        uses = [chosen.count(index) for index in range(num_checkpoints)]
        assert max(uses) - min(uses) <= 1


def test_fixed_order_refuses_what_it_was_not_made_for():
    with pytest.raises(ValueError, match="^num_stages must be at least 1, got 0$"):
        FixedOrder(0)
    for stage in (-1, 2):
        with pytest.raises(ValueError, match=f"^stage must be in 0 to 1, got {stage}$"):
            FixedOrder(2).select(stage, scores(), [])


@pytest.mark.parametrize(
    ("best_kl", "student_kl", "expected"),
    [
        ([3.0, 2.0, 0.0, 0.5], [0.0, 0.5, 4.0, 3.0], 1),
        ([3.0, 2.0, 0.0, 0.5], [0.0, 4.0, 4.0, 4.0], 0),
        ([3.0, 2.0, 0.0, 0.5], [5.0, 4.0, 1.0, 1.0], 2),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], 3),
        ([1.0, 0.5, 0.5, 1.0], [1.0, 0.5, 0.5, 1.0], 2),
        ([1.0, 1.0, 1.0, 1.0], [0.0, 5e-10, 2e-9, 2e-9], 1),
        ([1.0, 1.0, 1.0, 1.0], [9e-10, 0.0, 1e-8, 1.0], 1),
    ],
)
def test_scheduled_takes_the_lowest_sum_and_of_equal_ones_the_latest(best_kl, student_kl, expected):
    policy = ScheduledCheckpoint()
    assert policy.needs_scores
    assert policy.select(0, scores(best_kl, student_kl), []) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["best_kl", "student_kl"])
def test_scheduled_names_the_checkpoint_without_a_number(field, value):
    values = {"best_kl": [1.0] * 4, "student_kl": [1.0] * 4}
    values[field] = [1.0, 1.0, value, 1.0]
    with pytest.raises(ValueError, match=f"^{field} of checkpoint 2 must be a finite number, got {value}$"):
        ScheduledCheckpoint().select(0, scores(**values), [])


@pytest.mark.parametrize(("values", "got"), [(None, "none"), ([1.0], "1")])
@pytest.mark.parametrize("field", ["best_kl", "student_kl"])
def test_scheduled_needs_a_score_for_each_checkpoint(field, values, got):
    given_scores = {"best_kl": [1.0] * 4, "student_kl": [1.0] * 4} | {field: values}
    with pytest.raises(ValueError, match=f"^{field} must hold a score for each of the 4 checkpoints, got {got}$"):
        ScheduledCheckpoint().select(0, scores(**given_scores), [])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SingleBest(), [2]),
        (FixedOrder(2), [1, 3]),
        (FixedOrder(6), [0, 1, 2, 3]),
        (ScheduledCheckpoint(), [0, 1, 2, 3]),
    ],
)
def test_candidates_are_all_that_may_be_chosen(policy, expected):
    assert sorted(candidates(policy, 2, 4)) == expected


def test_a_policy_that_names_no_candidates_may_choose_any():
    class Own:
        needs_scores: ClassVar[bool] = False

        def select(self, stage, scores, history):
            return 0

    assert list(candidates(Own(), 2, 4)) == [0, 1, 2, 3]
