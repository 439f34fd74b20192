"""Whether trainings were long enough, by their validation: numbers of half-trained models say little of a method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scd_lightning.analysis.records import PLAIN

# What a training may still gain at its end, in its validation metric, and count as converged.
POINT = 0.01
# Epochs of a stage with budget=patient.
PATIENT = 8


@dataclass(frozen=True)
class Doubt:
    """A training that was too short, or too long.

    Attributes:
        model: teacher, anchor or student.
        kind: "stage": a student still gained more than `POINT` in its last stage; "quarter": likewise in the last
            quarter of its epochs, where there is one stage only; "checkpoint": the teacher's last checkpoint is its
            best, and more than `POINT` above the one before; "half": its best lies in the first half of its steps.
        change: That gain in the validation metric; for "half" what the last checkpoint has more than the best, which
            is 0 or less.
    """

    model: str
    kind: Literal["stage", "quarter", "checkpoint", "half"]
    change: float


def doubts(trained: Mapping[str, Mapping[str, Any]], stage_epochs: Mapping[str, int]) -> list[dict[str, Any]]:
    """What there is to doubt about a run's trainings, each as the fields of a `Doubt`.

    Args:
        trained: For teacher, anchor and student, as far as they are finished, what their stage has found: "best" and
            "trajectory" of the teacher, "curve" of the others. That of an anchor from elsewhere is empty, and such an
            anchor is not judged.
        stage_epochs: For anchor and student, epochs of a stage.
    """
    found = []
    if "teacher" in trained:
        found.append(judge_trajectory(trained["teacher"]["trajectory"], trained["teacher"]["best"]))
    for name in ("anchor", "student"):
        if name in trained:
            found.append(judge_curve(name, trained[name]["curve"], stage_epochs[name]))
    return [asdict(each) for each in found if each is not None]


def judge_curve(model: str, curve: Sequence[Mapping[str, Any]], stage_epochs: int) -> Doubt | None:
    """Whether a student or the anchor still gained at its end.

    Args:
        model: Which of the two.
        curve: One point an epoch; those of epochs that were not validated have no validation_metric, or None.
        stage_epochs: Epochs of a stage. The training may have ended before its last one was over.
    """
    kind: Literal["stage", "quarter"] = "stage"
    start = (len(curve) - 1) // stage_epochs * stage_epochs
    if start <= 0:
        kind, start = "quarter", len(curve) - math.ceil(len(curve) / 4)
    before, last = _metrics(curve[:start]), _metrics(curve[start:])
    if not before or not last:
        return None
    gain = max(last) - max(before)
    return Doubt(model, kind, gain) if _is_more_than_a_point(gain) else None


def _metrics(points: Sequence[Mapping[str, Any]]) -> list[float]:
    values = (point.get("validation_metric") for point in points)
    return [value for value in values if value is not None and math.isfinite(value)]


def judge_trajectory(trajectory: Sequence[Mapping[str, Any]], best: int) -> Doubt | None:
    """Whether the teacher still gained at its end, or had its best long before.

    Args:
        trajectory: Its checkpoints in order of their steps, each with "step" and "metrics".
        best: Index of the best one.
    """
    if len(trajectory) < 2:
        return None
    values = [checkpoint["metrics"]["metric"] for checkpoint in trajectory]
    if best == len(trajectory) - 1:
        gain = values[-1] - values[-2]
        return Doubt("teacher", "checkpoint", gain) if _is_more_than_a_point(gain) else None
    if 2 * trajectory[best]["step"] > trajectory[-1]["step"]:
        return None
    return Doubt("teacher", "half", values[-1] - values[best])


def _is_more_than_a_point(gain: float) -> bool:
    # 0.83 - 0.82 is 0.010000000000000009.
    return gain > POINT + 1e-9


def warnings(results: Mapping[str, Any]) -> list[str]:
    """A sentence for each doubt that results.json records: what it is, and what helps.

    Args:
        results: The content of results.json, or of a partial.json.
    """
    return [_sentence(Doubt(**each), results) for each in results.get("convergence", [])]


def _sentence(doubt: Doubt, results: Mapping[str, Any]) -> str:
    if doubt.model == "teacher":
        return _of_teacher(doubt, results)
    # Plain fine-tuning's student is the anchor.
    name = "student" if results.get("method") == PLAIN else doubt.model
    part = "its last stage" if doubt.kind == "stage" else "the last quarter of its epochs"
    return (
        f"The {name} had not converged: {part} still gained {doubt.change:.3f} on validation. "
        f"Give it more {_longer(doubt.model, results)}."
    )


def _longer(model: str, results: Mapping[str, Any]) -> str:
    budget = results["budget"]
    if "samples" in budget:
        # As much as it has seen may be more than was asked for: less than an epoch a stage there is not.
        samples = max(budget["samples"], results.get("samples_seen", {}).get(model, 0))
        return f"samples: budget.samples={2 * samples}"
    epochs = budget["stage_epochs"]
    patient = "budget=patient or " if epochs < PATIENT else ""
    return f"epochs: {patient}budget.stage_epochs={2 * epochs}"


def _of_teacher(doubt: Doubt, results: Mapping[str, Any]) -> str:
    # None of one that was brought along, whose training is no longer ours to change.
    epochs = results["budget"]["teacher_epochs"]
    if doubt.kind == "half":
        text = f"its best checkpoint lies in the first half of its steps, {-doubt.change:.3f} above the last"
        remedy = f" Give it fewer epochs than teacher.epochs={epochs}." if epochs else ""
        return f"The teacher overfitted: {text} on validation.{remedy}"
    text = f"its last checkpoint is its best, {doubt.change:.3f} above the one before"
    longer = f"Give it more epochs: teacher.epochs={2 * epochs}." if epochs else "Bring later ones, if there are any."
    return f"The teacher had not converged: {text} on validation. {longer}"
