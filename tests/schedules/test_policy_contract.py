"""Policies of people's own: what they may return, tried before anything is trained."""

import numpy as np
import pytest
import torch

from scd_lightning.errors import ConfigError
from scd_lightning.schedules.policies import FixedOrder, ScheduledCheckpoint, ScheduledForward, SingleBest
from scd_lightning.schedules.policy_contract import check_flags, checked_index, rehearse


class Own:
    needs_scores = False

    def __init__(self, choose):
        self.choose, self.calls = choose, 0

    def select(self, stage, scores, history):
        self.calls += 1
        return self.choose(stage, scores, history)


def made(choose):
    return Own(choose)


@pytest.mark.parametrize("index", [0, 3, np.int64(2), np.uint8(1), torch.tensor(2)])
def test_a_checkpoint_is_a_plain_int(index):
    found = checked_index(made(None), index, 0, 4)
    assert type(found) is int
    assert found == int(index)


@pytest.mark.parametrize("index", [-1, 4, True, np.True_, 1.0, np.float64(1), "1", None, [1], torch.tensor(1.0)])
def test_what_is_no_checkpoint(index):
    with pytest.raises(
        ConfigError, match="policy returns no checkpoint.*Own. Got: .*for stage 2. Expected: an int from 0 to 3"
    ):
        checked_index(made(None), index, 2, 4)


@pytest.mark.parametrize("policy", [SingleBest(), FixedOrder(5), ScheduledCheckpoint(), ScheduledForward(5)])
@pytest.mark.parametrize("num_checkpoints", [1, 3, 8])
def test_ours_pass(policy, num_checkpoints):
    check_flags(policy)
    rehearse(policy, 5, num_checkpoints)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda stage, scores, history: scores.best - stage, "no checkpoint.*Got: int -1 for stage 1"),
        (lambda stage, scores, history: stage, "no checkpoint.*Got: int 3 for stage 3"),
        (lambda stage, scores, history: history[-1] + 1 if history else 1, "no checkpoint.*Got: int 3 for stage 2"),
        (lambda stage, scores, history: None, "no checkpoint.*NoneType"),
        (lambda stage, scores, history: scores.student_kl.index(0), "fails when it is tried.*test_policy_contract"),
        (lambda stage, scores: 0, "fails when it is tried.*takes 2 positional"),
    ],
)
def test_a_rehearsal_finds_what_would_show_in_a_later_stage(choose, message):
    own = made(choose)
    with pytest.raises(ConfigError, match=message):
        rehearse(own, 4, 3)
    assert own.calls == 0  # a copy was asked


def test_scores_that_are_asked_for_are_there():
    own = made(lambda stage, scores, history: int(np.argmin(np.add(scores.best_kl, scores.student_kl))))
    own.needs_scores = True
    rehearse(own, 3, 4)


def test_the_checkpoints_that_a_policy_names_beforehand_are_held_to_the_same():
    own = made(lambda stage, scores, history: 0)
    own.candidates = lambda best, num_checkpoints: {best + num_checkpoints}
    with pytest.raises(ConfigError, match="returns no checkpoint"):
        rehearse(own, 2, 3)


def test_what_can_t_be_copied_is_not_tried():
    own = made(lambda stage, scores, history: -1)
    own.file = open(__file__)  # noqa: SIM115
    with own.file:
        rehearse(own, 2, 3)


@pytest.mark.parametrize("flag", [None, "false", 0])
def test_a_policy_says_whether_it_needs_scores(flag):
    own = made(None)
    own.needs_scores = flag
    with pytest.raises(ConfigError, match="lacks needs_scores"):
        check_flags(own)
