"""report.html: what a run found, from the files in its folder alone."""

from pathlib import Path
from typing import Any

from scd_lightning.analysis import plots
from scd_lightning.analysis.pages import render
from scd_lightning.analysis.records import (
    MODEL_NAMES,
    RunRecord,
    decompositions,
    metric_names,
    read_run,
    verdict,
)

EXAMPLES = 5


def write_report(run_dir: Path) -> Path:
    """Writes report.html, a page that needs no other file and no network.

    Args:
        run_dir: Folder of a finished run. Only results.json must be there; what another file would show is left out
            where a method makes no such file.

    Returns:
        The path of the page.

    Raises:
        StoreError: results.json is missing, or a file is damaged.
    """
    record = read_run(run_dir)
    results = record.results
    page = render(
        "report.html.j2",
        results=results,
        verdict=verdict(results),
        metrics=metric_names(results),
        models=[(title, results["metrics"][name]) for name, title in MODEL_NAMES.items() if name in results["metrics"]],
        decompositions=decompositions(results),
        stages=stages(record),
        best=record.schedule.get("best_checkpoint"),
        costs=record.costs,
        figures=figures(record),
        examples=examples(record),
    )
    path = run_dir / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def stages(record: RunRecord) -> list[dict[str, Any]]:
    """Lists the stages, each with the score of each checkpoint, or None where the policy scores none."""
    recorded = record.schedule.get("stages") or record.results.get("schedule") or []
    return [{"mean_weight": None, **stage, "score": _score(stage)} for stage in recorded]


def figures(record: RunRecord) -> list[tuple[str, str]]:
    """Draws what was recorded, as (caption, SVG)."""
    found = [_trajectory(record), *_schedule(record), *_curves(record), _scatter(record)]
    return [figure for figure in found if figure is not None]


def examples(record: RunRecord) -> list[tuple[str, list[dict[str, Any]]]]:
    """Picks the test samples on which the student's loss is furthest below, and furthest above, the teacher's."""
    if not {"teacher", "student"} <= set(record.predictions):
        return []
    rows = [
        {"teacher": teacher, "student": student, "difference": student["loss"] - teacher["loss"]}
        for teacher, student in zip(record.predictions["teacher"], record.predictions["student"], strict=True)
    ]
    rows.sort(key=lambda row: row["difference"])
    ahead = [row for row in rows[:EXAMPLES] if row["difference"] < 0]
    behind = [row for row in rows[::-1][:EXAMPLES] if row["difference"] > 0]
    titled = [("Where the student is furthest ahead", ahead), ("Where it is furthest behind", behind)]
    return [(title, picked) for title, picked in titled if picked]


def _score(stage: dict[str, Any]) -> list[float] | None:
    best, student = stage.get("best_kl"), stage.get("student_kl")
    if best is None or student is None:
        return None
    return [a + b for a, b in zip(best, student, strict=True)]


def _trajectory(record: RunRecord) -> tuple[str, str] | None:
    if not record.trajectory:
        return None
    recorded = record.trajectory[0]["metrics"]
    primary = record.results["primary_metric"]
    metric = primary if primary in recorded else next((name for name in recorded if name != "loss"), "loss")
    best = record.schedule.get("best_checkpoint")
    return "The teacher's kept checkpoints.", plots.trajectory_plot(record.trajectory, metric, best)


def _schedule(record: RunRecord) -> list[tuple[str, str]]:
    recorded = stages(record)
    if not recorded:
        return []
    best = record.schedule.get("best_checkpoint")
    drawn = [("Which checkpoint the student learned from.", plots.schedule_plot(recorded, best))]
    scored = [stage for stage in recorded if stage["score"]]
    if scored:
        text = "KL(best || checkpoint) + KL(student || checkpoint) at each stage's start; the lowest is chosen."
        drawn.append((text, plots.scores_plot(scored)))
    return drawn


def _curves(record: RunRecord) -> list[tuple[str, str]]:
    points = [point for curve in record.curves.values() for point in curve]
    drawn = []
    if points:
        text = "Cross-entropy with the gold answers, for every model and method alike."
        drawn.append((text, plots.loss_curves_plot(record.curves)))
    if any(point.get("validation_metric") is not None for point in points):
        drawn.append(("On the validation split, after each epoch.", plots.metric_curves_plot(record.curves)))
    return drawn


def _scatter(record: RunRecord) -> tuple[str, str] | None:
    if not {"teacher", "student"} <= set(record.predictions):
        return None
    student, teacher = ([row["loss"] for row in record.predictions[name]] for name in ("student", "teacher"))
    text = "Mean completion-token loss of each test sample; below the diagonal the student is the better one."
    return text, plots.loss_scatter_plot(student, teacher)
