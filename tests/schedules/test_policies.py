"""Policies against the choices written out by hand, and by trying all."""

import itertools
import math
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.schedules.policies import (
    FixedOrder,
    ScheduledCheckpoint,
    ScheduledForward,
    Scores,
    SingleBest,
    candidates,
    remark,
)


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


@pytest.mark.parametrize(
    ("best", "num_stages", "expected"),
    [
        # Each stage leaves one for each to come; the lowest totals are 0, 1, 2, ... as long as nothing forbids them.
        (3, 4, [0, 1, 2, 3]),
        (3, 3, [0, 1, 3]),
        (3, 2, [0, 3]),
        (3, 1, [3]),
        (0, 1, [0]),
        # Fewer checkpoints than stages.
        (0, 3, [0, 0, 0]),
        (1, 4, [1, 1, 1, 1]),
    ],
)
def test_forward_never_stays_before_the_best(best, num_stages, expected):
    policy = ScheduledForward(num_stages)
    assert policy.needs_scores
    assert chosen_by(policy, num_stages, best, 4, [([0.1, 0.2, 0.3, 0.4], [0.0] * 4)] * num_stages) == expected


@pytest.mark.parametrize(("best", "num_stages", "told"), [(3, 4, False), (0, 1, False), (2, 4, True), (0, 2, True)])
def test_forward_says_where_it_can_only_stay(best, num_stages, told):
    said = remark(ScheduledForward(num_stages), best, 4)
    assert (said is not None) is told
    if said is not None:
        assert f"budget.stages={best + 1}" in said
        assert remark(ScheduledForward(best + 1), best, 4) is None
    assert remark(SingleBest(), best, 4) is None


def test_forward_takes_the_latest_of_equal_ones():
    flat = [([1.0] * 4, [0.0, 5e-10, 2e-9, 0.0])] * 2
    assert chosen_by(ScheduledForward(2), 2, 3, 4, flat) == [1, 3]


def chosen_by(policy, num_stages, best, num_checkpoints, measured):
    """What a policy chooses, stage after stage, by these (best_kl, student_kl) of each."""
    chosen: list[int] = []
    for stage in range(num_stages):
        chosen.append(policy.select(stage, Scores(best, num_checkpoints, *measured[stage]), chosen))
    return chosen


# Of few values, so that many are equal; multiples of 1/4, whose sums are exact.
SCORE = st.integers(0, 6).map(lambda quarters: quarters / 4)


def forward_by_trying_all(stage, num_stages, scores, history):
    """The rule in the words of its definition, by trying every checkpoint."""
    if stage == num_stages - 1:
        return scores.best
    still_to_come = num_stages - stage - 1
    allowed = []
    for i in range(scores.num_checkpoints):
        after_the_last = not history or i > history[-1]
        if after_the_last and i + still_to_come <= scores.best:
            allowed.append((scores.best_kl[i] + scores.student_kl[i], -i))
    return -min(allowed)[1] if allowed else scores.best


@given(st.data())
def test_forward_against_trying_all(data):
    num_checkpoints, num_stages = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    best = data.draw(st.integers(0, num_checkpoints - 1))
    policy = ScheduledForward(num_stages)
    measured = st.lists(SCORE, min_size=num_checkpoints, max_size=num_checkpoints)
    # Whatever came before, of another policy too.
    history = data.draw(st.lists(st.integers(0, num_checkpoints - 1), max_size=num_stages - 1))
    scores = Scores(best, num_checkpoints, data.draw(measured), data.draw(measured))
    expected = forward_by_trying_all(len(history), num_stages, scores, history)
    assert policy.select(len(history), scores, history) == expected

    of_stages = [(data.draw(measured), data.draw(measured)) for _ in range(num_stages)]
    whole = chosen_by(policy, num_stages, best, num_checkpoints, of_stages)
    assert whole[-1] == best
    assert set(whole) <= set(candidates(policy, best, num_checkpoints))
    if num_stages <= best + 1:
        assert all(before < after for before, after in itertools.pairwise(whole))
    else:
        assert set(whole) == {best}


def test_forward_refuses_what_it_was_not_made_for():
    with pytest.raises(ValueError, match="^num_stages must be at least 1, got 0$"):
        ScheduledForward(0)
    for stage in (-1, 2):
        with pytest.raises(ValueError, match=f"^stage must be in 0 to 1, got {stage}$"):
            ScheduledForward(2).select(stage, scores([1.0] * 4, [1.0] * 4), [])


SCORED = [ScheduledCheckpoint(), ScheduledForward(1)]


@pytest.mark.parametrize("policy", SCORED)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["best_kl", "student_kl"])
def test_scheduled_names_the_checkpoint_without_a_number(field, value, policy):
    values = {"best_kl": [1.0] * 4, "student_kl": [1.0] * 4}
    values[field] = [1.0, 1.0, value, 1.0]
    with pytest.raises(ValueError, match=f"^{field} of checkpoint 2 must be a finite number, got {value}$"):
        policy.select(0, scores(**values), [])


@pytest.mark.parametrize("policy", SCORED)
@pytest.mark.parametrize(("values", "got"), [(None, "none"), ([1.0], "1")])
@pytest.mark.parametrize("field", ["best_kl", "student_kl"])
def test_scheduled_needs_a_score_for_each_checkpoint(field, values, got, policy):
    given_scores = {"best_kl": [1.0] * 4, "student_kl": [1.0] * 4} | {field: values}
    with pytest.raises(ValueError, match=f"^{field} must hold a score for each of the 4 checkpoints, got {got}$"):
        policy.select(0, scores(**given_scores), [])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SingleBest(), [2]),
        (FixedOrder(2), [1, 3]),
        (FixedOrder(6), [0, 1, 2, 3]),
        (ScheduledCheckpoint(), [0, 1, 2, 3]),
        (ScheduledForward(2), [0, 1, 2]),
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
