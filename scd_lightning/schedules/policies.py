"""Which of the teacher's checkpoints a stage uses: scores and history in, an index out."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

# Scores this near to one another are equal: rounding, or another number of processes, must not decide.
TIE = 1e-9


@dataclass(frozen=True)
class Scores:
    """What a policy may decide by.

    Attributes:
        best: Index of the best checkpoint on validation.
        num_checkpoints: N.
        best_kl: [N], KL(best || checkpoint) on the probe set in nats; None where not measured.
        student_kl: [N], KL(student || checkpoint), likewise.
    """

    best: int
    num_checkpoints: int
    best_kl: list[float] | None = None
    student_kl: list[float] | None = None


class Policy(Protocol):
    """Chooses a checkpoint for each stage; `needs_scores` tells whether the KLs must be measured for it."""

    needs_scores: ClassVar[bool]

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        """The checkpoint, 0 to N - 1, for a stage counted from 0, after those that `history` names were used."""
        ...


def candidates(policy: Policy, best: int, num_checkpoints: int) -> Collection[int]:
    """The checkpoints that a policy may choose, whatever the scores: for estimates before there are any.

    Those that its own `candidates(best, num_checkpoints)` names; all, where it has none.

    Args:
        policy: The policy.
        best: Index of the best checkpoint.
        num_checkpoints: N.
    """
    own = getattr(policy, "candidates", None)
    return range(num_checkpoints) if own is None else own(best, num_checkpoints)


def remark(policy: Policy, best: int, num_checkpoints: int) -> str | None:
    """What there is to say of a policy before the first stage, by its own `remark(best, num_checkpoints)`, if any."""
    own = getattr(policy, "remark", None)
    return None if own is None else own(best, num_checkpoints)


class SingleBest:
    """Traditional distillation: the best checkpoint, always."""

    needs_scores: ClassVar[bool] = False

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        """The best checkpoint's index."""
        return scores.best

    def candidates(self, best: int, num_checkpoints: int) -> Collection[int]:
        """The best one."""
        return {best}


class FixedOrder:
    """Checkpoint distillation: from young to old, spread evenly over the stages, the last checkpoint at the end.

    Args:
        num_stages: Stages of the whole distillation.
    """

    needs_scores: ClassVar[bool] = False

    def __init__(self, num_stages: int) -> None:
        self.num_stages = _at_least_one(num_stages)

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        """The checkpoint at which as large a part of the trajectory is over as of the stages at this one's end.

        Raises:
            ValueError: The stage is not one of `num_stages`.
        """
        _require_stage(stage, self.num_stages)
        return math.ceil((stage + 1) * scores.num_checkpoints / self.num_stages) - 1

    def candidates(self, best: int, num_checkpoints: int) -> Collection[int]:
        """Those of all stages."""
        scores = Scores(best, num_checkpoints)
        return {self.select(stage, scores, ()) for stage in range(self.num_stages)}


class ScheduledCheckpoint:
    """Scheduled checkpoint distillation: near the best checkpoint and near to where the student is now."""

    needs_scores: ClassVar[bool] = True

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        """argmin_i KL(best || checkpoint_i) + KL(student || checkpoint_i); of equal ones the latest.

        Raises:
            ValueError: A score is missing or not a finite number.
        """
        return _lowest(_totals(scores), range(scores.num_checkpoints))


class ScheduledForward:
    """Scheduled checkpoint distillation that moves on: each stage takes a later checkpoint, the last one the best.

    The scores are those of `ScheduledCheckpoint`, the rule of the paper, which may stay or go back.

    Args:
        num_stages: Stages of the whole distillation.
    """

    needs_scores: ClassVar[bool] = True

    def __init__(self, num_stages: int) -> None:
        self.num_stages = _at_least_one(num_stages)

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        """The lowest score among last < i <= best - (stages still to come), which leaves a later one for each of those.

        Where there is none, since fewer checkpoints are left than stages, it is the best, and so in the last stage.

        Raises:
            ValueError: A score is missing or not a finite number, or the stage is not one of `num_stages`.
        """
        _require_stage(stage, self.num_stages)
        totals, to_come = _totals(scores), self.num_stages - 1 - stage
        last = history[-1] if history else -1
        ahead = range(last + 1, scores.best - to_come + 1)
        return _lowest(totals, ahead) if ahead and to_come else scores.best

    def candidates(self, best: int, num_checkpoints: int) -> Collection[int]:
        """Those up to the best."""
        return range(best + 1)

    def remark(self, best: int, num_checkpoints: int) -> str | None:
        """Says that there are too few checkpoints to move on from one to another; None where there are enough."""
        if best + 1 >= self.num_stages:
            return None
        return (
            f"Only {best + 1} of the {num_checkpoints} checkpoints are there up to the best one, {best}, for "
            f"{self.num_stages} stages: it teaches in all of them, as with method=td. To have the schedule move on, "
            f"keep more of them by teacher.checkpoints, or take fewer stages: budget.stages={best + 1}."
        )


def _at_least_one(num_stages: int) -> int:
    if num_stages < 1:
        raise ValueError(f"num_stages must be at least 1, got {num_stages}")
    return num_stages


def _require_stage(stage: int, num_stages: int) -> None:
    if not 0 <= stage < num_stages:
        raise ValueError(f"stage must be in 0 to {num_stages - 1}, got {stage}")


def _totals(scores: Scores) -> list[float]:
    """KL(best || checkpoint_i) + KL(student || checkpoint_i)."""
    best_kl = _checked("best_kl", scores.best_kl, scores.num_checkpoints)
    student_kl = _checked("student_kl", scores.student_kl, scores.num_checkpoints)
    return [best + student for best, student in zip(best_kl, student_kl, strict=True)]


def _lowest(totals: Sequence[float], among: Sequence[int]) -> int:
    """Of these checkpoints the one with the least total; of equal ones the latest."""
    lowest = min(totals[index] for index in among)
    return max(index for index in among if totals[index] <= lowest + TIE)


def _checked(name: str, values: Sequence[float] | None, num_checkpoints: int) -> Sequence[float]:
    if values is None or len(values) != num_checkpoints:
        got = "none" if values is None else len(values)
        raise ValueError(f"{name} must hold a score for each of the {num_checkpoints} checkpoints, got {got}")
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"{name} of checkpoint {index} must be a finite number, got {value}")
    return values
