"""The test samples on which student and teacher differ, read from a run's predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.records import read_predictions

COLUMNS = (
    "id",
    "input",
    "gold",
    "student_answer",
    "teacher_answer",
    "student_correct",
    "teacher_correct",
    "student_loss",
    "teacher_loss",
    "loss_difference",
)


def differing_samples(folder: Path, limit: int) -> list[list[Any]]:
    """Rows of `COLUMNS`, one for each sample that the two answer differently, the greatest loss differences first.

    Args:
        folder: The run's folder, with its predictions.
        limit: Number of rows at most.
    """
    student, teacher, samples = (read_predictions(folder, name) for name in ("student", "teacher", "samples"))
    texts = {sample["id"]: sample["input"] for sample in samples}
    rows = [
        _row(texts.get(ours["id"], ""), ours, theirs)
        for ours, theirs in zip(student, teacher, strict=True)
        if (ours["answer"], ours["correct"]) != (theirs["answer"], theirs["correct"])
    ]
    return sorted(rows, key=lambda row: -abs(row[-1]))[:limit]


def _row(text: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[Any]:
    answers = [_words(each) for each in (ours["gold"], ours["answer"], theirs["answer"])]
    scores = [float(each["correct"]) for each in (ours, theirs)]
    losses = [ours["loss"], theirs["loss"], ours["loss"] - theirs["loss"]]
    return [str(ours["id"]), text, *answers, *scores, *losses]


def _words(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " | ".join(map(str, value))
    return str(value)
