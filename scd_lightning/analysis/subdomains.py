"""Where the student beats its teacher and where not, sample by sample."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Decomposition:
    """The student's risk minus the teacher's, split by who does better on a sample.

    Attributes:
        advantage: E[(Lt - Ls) 1{Ls < Lt}], what the student gains on the student-favoured subdomain.
        deficit: E[(Ls - Lt) 1{Ls > Lt}], what it loses on the teacher-favoured one.
        gap: E[Ls] - E[Lt], which equals deficit - advantage; below 0 the student beats the teacher.
        sfs_share: Share of samples in the student-favoured subdomain.
        tie_share: Share of samples with equal losses, which are in neither.
    """

    advantage: float
    deficit: float
    gap: float
    sfs_share: float
    tie_share: float

    def as_dict(self) -> dict[str, float]:
        """The fields by name."""
        return asdict(self)


def decompose(student_loss: ArrayLike, teacher_loss: ArrayLike) -> Decomposition:
    """Splits the difference of two models' risks into advantage and deficit.

    Args:
        student_loss: [S], loss or error of the student on each sample.
        teacher_loss: [S], that of the teacher, in the same order and unit.

    Raises:
        ValueError: The two are not both [S] with S above 0, or hold a value that is not finite.
    """
    student, teacher = np.asarray(student_loss, dtype=np.float64), np.asarray(teacher_loss, dtype=np.float64)
    if student.ndim != 1 or student.shape != teacher.shape or not student.size:
        raise ValueError(
            f"student_loss and teacher_loss must both be [S] with S above 0, got {list(student.shape)} and "
            f"{list(teacher.shape)}"
        )
    for name, values in (("student_loss", student), ("teacher_loss", teacher)):
        if not np.isfinite(values).all():
            sample = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{name} must be finite, got {values[sample]} at sample {sample}")
    difference = student - teacher
    return Decomposition(
        advantage=float(np.maximum(-difference, 0).mean()),
        deficit=float(np.maximum(difference, 0).mean()),
        gap=float(student.mean() - teacher.mean()),
        sfs_share=float((difference < 0).mean()),
        tie_share=float((difference == 0).mean()),
    )
