"""Schedules that stay where they are: told from the records of their stages, while training and afterwards alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scd_lightning.schedules.policies import TIE

# A student this much nearer to a checkpoint than to the best one has hardly anything left to learn from it.
NEARER = 10


@dataclass(frozen=True)
class Stall:
    """A stage in which a checkpoint teaches again that has little left to teach.

    Attributes:
        stage: From 0.
        checkpoint: Index of the checkpoint that taught in the stage before too.
        best: Index of the best one.
        student_kl: KL(student || checkpoint) at the stage's start, in nats.
        best_student_kl: KL(student || best), likewise.
    """

    stage: int
    checkpoint: int
    best: int
    student_kl: float
    best_student_kl: float


def stalls(schedule: Sequence[Mapping[str, Any]]) -> list[Stall]:
    """The stages that took the checkpoint of the stage before, though it is not the best, and the student is there.

    The paper's rule (arXiv 2601.10114) comes to this where the teacher has most of the loss: the student follows a
    young checkpoint so closely that KL(student || checkpoint) of the later, sharper ones outgrows what they gain in
    KL(best || checkpoint).

    Args:
        schedule: For each stage so far its "stage", "checkpoint", "best_kl" [N] and "student_kl" [N]: a `StageChoice`'s
            fields, or what schedule.json and results.json have of it. Stages without scores are none of these.
    """
    found = (_stall(before, stage) for before, stage in pairwise(schedule))
    return [each for each in found if each is not None]


def _stall(before: Mapping[str, Any], stage: Mapping[str, Any]) -> Stall | None:
    chosen, best_kl, student_kl = stage["checkpoint"], stage.get("best_kl"), stage.get("student_kl")
    if chosen != before["checkpoint"] or best_kl is None or student_kl is None:
        return None
    # The best one is known by its KL to itself, which is 0: not all records of a schedule name it.
    best = best_kl.index(min(best_kl))
    if best_kl[chosen] <= best_kl[best] + TIE or student_kl[chosen] >= student_kl[best] / NEARER:
        return None
    return Stall(stage["stage"], chosen, best, student_kl[chosen], student_kl[best])


def stall_sentence(found: Sequence[Stall]) -> str:
    """Says that a schedule stalls, by the first such stage's numbers, and what helps.

    Args:
        found: What `stalls` has found, at least one.

    >>> print(stall_sentence([Stall(1, 0, 4, 0.0171, 1.3)]))
    The schedule stalls in stage 1: checkpoint 0 teaches again, though the student's KL to it is 0.0171, and 1.3 to \
the best one, 4. What helps: method=scheduled_forward, or a lower method.weighting.weight where the weight is constant.
    """
    first, stages = found[0], [str(each.stage) for each in found]
    where = f"stage {stages[0]}" if len(stages) == 1 else f"stages {', '.join(stages[:-1])} and {stages[-1]}"
    when = "" if len(stages) == 1 else f" in stage {first.stage}"
    return (
        f"The schedule stalls in {where}: checkpoint {first.checkpoint} teaches again{when}, though the student's KL "
        f"to it is {first.student_kl:.3g}, and {first.best_student_kl:.3g} to the best one, {first.best}. "
        "What helps: method=scheduled_forward, or a lower method.weighting.weight where the weight is constant."
    )
