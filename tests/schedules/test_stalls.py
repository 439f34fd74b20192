"""Stalls of schedules that are written out by hand."""

import pytest

from scd_lightning.schedules.stalls import Stall, stall_sentence, stalls

BEST_KL = [2.0, 1.0, 0.00001, 0.5]  # The best is 2; its KL to itself may be off by rounding.


def schedule(*stages):
    """Of (checkpoint, student_kl) for each stage."""
    return [
        {"stage": i, "checkpoint": checkpoint, "best_kl": BEST_KL, "student_kl": student_kl}
        for i, (checkpoint, student_kl) in enumerate(stages)
    ]


FAR, NEAR = [3.0, 3.5, 4.0, 4.5], [0.017, 1.0, 1.3, 1.5]


def test_a_stage_that_stays_where_the_student_is():
    found = stalls(schedule((0, FAR), (0, NEAR), (0, NEAR), (0, FAR), (1, NEAR)))
    assert found == [Stall(stage, 0, 2, 0.017, 1.3) for stage in (1, 2)]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([], []),
        ([(0, NEAR)], []),
        # Another than before, though not forward.
        ([(1, FAR), (0, NEAR)], []),
        ([(0, FAR), (1, FAR), (0, NEAR)], []),
        # The best may teach as often as it likes, the student as near as it may be.
        ([(2, FAR), (2, [1.0, 1.0, 0.001, 1.0])], []),
        # One past the best is not it.
        ([(3, FAR), (3, [1.0, 1.0, 1.0, 0.01])], [1]),
        # A tenth is not below a tenth.
        ([(1, FAR), (1, [1.0, 0.125, 1.25, 1.0])], []),
        ([(1, FAR), (1, [1.0, 0.1249, 1.25, 1.0])], [1]),
        # What the stage before was chosen by does not matter.
        ([(0, None), (0, NEAR)], [1]),
        ([(0, NEAR), (0, None)], []),
    ],
)
def test_what_is_a_stall(stages, expected):
    assert [each.stage for each in stalls(schedule(*stages))] == expected


def test_stages_without_scores_are_no_stalls():
    fixed = [{"stage": stage, "checkpoint": 0, "best_kl": None, "student_kl": None} for stage in range(3)]
    assert stalls(fixed) == []
    assert stalls([{"stage": stage, "checkpoint": 0} for stage in range(3)]) == []


def test_two_checkpoints_that_are_the_best_are_both_it():
    twins = [{"stage": i, "checkpoint": 1, "best_kl": [0.0, 1e-12], "student_kl": [1.0, 0.01]} for i in range(2)]
    assert stalls(twins) == []


@pytest.mark.parametrize(
    ("stages", "start"),
    [
        ([1], "The schedule stalls in stage 1: checkpoint 0 teaches again, though the student's KL to it is 0.017, "),
        ([1, 2], "The schedule stalls in stages 1 and 2: checkpoint 0 teaches again in stage 1, though "),
        ([2, 3, 5], "The schedule stalls in stages 2, 3 and 5: checkpoint 0 teaches again in stage 2, though "),
    ],
)
def test_the_sentence_names_the_stages_and_what_helps(stages, start):
    text = stall_sentence([Stall(stage, 0, 2, 0.017, 1.3) for stage in stages])
    assert text.startswith(start)
    assert text.endswith(
        "and 1.3 to the best one, 2. What helps: method=scheduled_forward, or a lower method.weighting.weight where "
        "the weight is constant."
    )
