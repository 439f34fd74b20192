"""How student and teacher agree on the test samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scd_lightning.analysis.comparison.sweep_runs import SweepRun


@dataclass(frozen=True)
class Agreement:
    """Test samples by who answers them fully right, each a mean over runs.

    Attributes:
        both: By student and teacher.
        student: By the student alone.
        teacher: By the teacher alone.
        neither: By neither.
    """

    both: float
    student: float
    teacher: float
    neither: float


def agreement(runs: Sequence[SweepRun]) -> Agreement | None:
    """Counts the samples of each kind; None where a run kept no predictions."""
    if not all({"student", "teacher"} <= run.record.predictions.keys() for run in runs):
        return None
    counts = [_counts(run) for run in runs]
    return Agreement(*(fmean(values) for values in zip(*counts, strict=True)))


def _counts(run: SweepRun) -> tuple[int, int, int, int]:
    ours, theirs = ([row["correct"] == 1 for row in run.record.predictions[name]] for name in ("student", "teacher"))
    pairs = list(zip(ours, theirs, strict=True))
    kinds = ((True, True), (True, False), (False, True), (False, False))
    both, student, teacher, neither = (pairs.count(kind) for kind in kinds)
    return both, student, teacher, neither
