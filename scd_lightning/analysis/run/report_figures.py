"""The plots of a run's report, each with a text that says the same to those who can't see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scd_lightning.analysis import plots
from scd_lightning.analysis.formatting import number, share
from scd_lightning.analysis.records import RunRecord, evaluated_split


@dataclass(frozen=True)
class Drawing:
    """A plot.

    Attributes:
        svg: The SVG element.
        caption: How to read it.
        text: What it shows, in words and numbers.
    """

    svg: str
    caption: str
    text: str


def stages(record: RunRecord) -> list[dict[str, Any]]:
    """Lists the stages, each with the score of each checkpoint, or None where the policy scores none."""
    return [{"mean_weight": None, "weights": None, **stage, "score": _score(stage)} for stage in record.stages]


def _score(stage: dict[str, Any]) -> list[float] | None:
    if stage.get("best_kl") is None or stage.get("student_kl") is None:
        return None
    return [best + student for best, student in zip(stage["best_kl"], stage["student_kl"], strict=True)]


def trajectory_drawing(record: RunRecord) -> Drawing | None:
    """The teacher's checkpoints on the validation split."""
    if not record.trajectory:
        return None
    recorded = record.trajectory[0]["metrics"]
    primary = record.results["primary_metric"]
    metric = primary if primary in recorded else next((name for name in recorded if name != "loss"), "loss")
    best = record.schedule.get("best_checkpoint")
    values = ", ".join(f"{point['index']}: {number(point['metrics'][metric])}" for point in record.trajectory)
    text = f"Validation {metric} of checkpoint {values}." + ("" if best is None else f" Best: {best}.")
    caption = "The checkpoints that were kept of the teacher's fine-tuning, on the validation split."
    return Drawing(plots.trajectory_plot(record.trajectory, metric, best), caption, text)


def schedule_drawings(record: RunRecord) -> list[Drawing]:
    """Which checkpoint taught when, and the scores that decided it."""
    found = stages(record)
    if not found:
        return []
    best = record.schedule.get("best_checkpoint")
    chosen = ", ".join(f"stage {stage['stage']}: checkpoint {stage['checkpoint']}" for stage in found)
    drawn = [Drawing(plots.schedule_plot(found, best), "Which checkpoint the student learned from.", f"{chosen}.")]
    scored = [stage for stage in found if stage["score"]]
    if scored:
        scores = "KL(best || checkpoint) + KL(student || checkpoint) at each stage's start"
        caption = f"{scores}; the lowest{of_which(record)} is chosen."
        text = "; ".join(f"stage {stage['stage']}: {', '.join(map(number, stage['score']))}" for stage in scored)
        drawn.append(Drawing(plots.scores_plot(scored), caption, f"Scores by checkpoint, {text}."))
    return drawn


def of_which(record: RunRecord) -> str:
    """What follows "the lowest score": of a schedule that moves on, not every checkpoint is to be had in a stage."""
    return " of those that the stage may take" if record.schedule.get("policy") == "ScheduledForward" else ""


def weights_drawings(record: RunRecord) -> list[Drawing]:
    """How the samples' weights are spread in each stage."""
    found = [stage for stage in stages(record) if stage["weights"] and sum(stage["weights"])]
    shares = [max(stage["weights"]) / sum(stage["weights"]) for stage in found]
    return [
        Drawing(
            plots.weights_plot(stage["weights"], stage["stage"], 1.05 * max(shares)),
            f"mean {number(stage['mean_weight'])}",
            _weights_text(stage),
        )
        for stage in found
    ]


def _weights_text(stage: dict[str, Any]) -> str:
    counts: Sequence[int] = stage["weights"]
    total, half = sum(counts), len(counts) // 2
    return (
        f"Stage {stage['stage']}: weight below {1 / len(counts):g} for {share(counts[0] / total)} of the samples, "
        f"below one half for {share(sum(counts[:half]) / total)}, above {1 - 1 / len(counts):g} for "
        f"{share(counts[-1] / total)}."
    )


def curve_drawings(record: RunRecord) -> list[Drawing]:
    """Losses and the validation metric over epochs."""
    points = [point for curve in record.curves.values() for point in curve]
    drawn = []
    if points:
        caption = "Cross-entropy with the gold answers, for every model and method alike."
        text = _ends(record, "validation_loss", "Validation loss")
        drawn.append(Drawing(plots.loss_curves_plot(record.curves), caption, text))
    if any(point.get("validation_metric") is not None for point in points):
        caption = "On the validation split, after each epoch; it picks the weights that are kept."
        text = _ends(record, "validation_metric", "Validation metric")
        drawn.append(Drawing(plots.metric_curves_plot(record.curves), caption, text))
    return drawn


def _ends(record: RunRecord, field: str, title: str) -> str:
    parts = [f"{name} {_first_and_last(curve, field)}" for name, curve in record.curves.items() if curve]
    return f"{title}, from the first epoch to the last: {'; '.join(parts)}."


def _first_and_last(curve: Sequence[dict[str, Any]], field: str) -> str:
    values = [point[field] for point in curve if point.get(field) is not None]
    return f"{number(values[0])} to {number(values[-1])}" if values else "not recorded"


def subdomain_drawings(record: RunRecord) -> list[Drawing]:
    """Advantage and deficit of the student: over the evaluated samples, and over its epochs."""
    return [drawing for drawing in (_scatter(record), _advantage(record)) if drawing is not None]


def _advantage(record: RunRecord) -> Drawing | None:
    own = record.curves.get("student", [])
    if not any(point.get("advantage") is not None for point in own):
        return None
    caption = (
        "After each epoch, against the teacher's best checkpoint on the validation split: the student is ahead overall "
        "where its advantage lies above its deficit."
    )
    ends = {name: _first_and_last(own, name) for name in ("advantage", "deficit")}
    text = f"From the first epoch to the last: advantage {ends['advantage']}, deficit {ends['deficit']}."
    return Drawing(plots.advantage_plot(own), caption, text)


def _scatter(record: RunRecord) -> Drawing | None:
    if not {"teacher", "student"} <= set(record.predictions):
        return None
    student, teacher = ([row["loss"] for row in record.predictions[name]] for name in ("student", "teacher"))
    if not student:
        return None
    below = sum(ours < theirs for ours, theirs in zip(student, teacher, strict=True))
    split = evaluated_split(record.results)
    caption = f"Mean completion-token loss of each {split} sample; below the diagonal the student is the better one."
    text = f"The student's loss is below the teacher's on {below} of {len(student)} {split} samples."
    return Drawing(plots.loss_scatter_plot(student, teacher), caption, text)
