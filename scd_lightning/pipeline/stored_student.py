"""A student that no run has exported: a run's anchor, or what a job of a search has trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from scd_lightning.analysis.records import RESULTS, RunRecord, read_run
from scd_lightning.analysis.run.anchor_card import of_anchor
from scd_lightning.analysis.run.intervals import run_intervals
from scd_lightning.analysis.run.model_card import write_model_card
from scd_lightning.errors import StoreError
from scd_lightning.pipeline.export_check import check_export
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.report import found_results
from scd_lightning.pipeline.runner import Artifacts, plan
from scd_lightning.pipeline.student_folder import write_student
from scd_lightning.tasks.known import task_of


def export_stored(job: Job, name: str, folder: Path) -> None:
    """Exports a student from the store as its run would have, with its model card.

    Args:
        job: The run, all of which is in the store.
        name: "anchor", or "student" for what the run reports, which without distillation is the anchor too.
        folder: Where student/ is made.

    Raises:
        ScdError: Its data or models are not there any more.
        StoreError: Nor is the student.
    """
    held = name if name != "student" or job.method.trains_student else "anchor"
    prepared, made = stored(job, held)
    if held == "anchor":
        made.pop("student", None)
    student = folder / "student"
    student.mkdir(parents=True)
    write_student(prepared, made, student, None)
    record = _record(prepared, made)
    if held == "anchor":
        record = of_anchor(record)
    if record.predictions:
        checked = {"export_check": check_export(prepared, student, record.predictions["student"])}
        record = replace(record, results=record.results | checked)
    write_model_card(folder, record, run_intervals(record))


def stored(job: Job, name: str) -> tuple[PreparedJob, Artifacts]:
    """A job prepared, and what of its models the store has.

    Args:
        job: The run.
        name: The one that has to be there: teacher, anchor or student.

    Raises:
        ScdError: Its data or models are not there any more.
        StoreError: Nor is the model.
    """
    prepared = prepare(job)
    steps = (step for step in plan(prepared) if step.phase != "evaluate")
    made = {step.name: found for step in steps if (found := prepared.store.find(step.key)) is not None}
    if name not in made:
        raise StoreError(
            f"The {name} is not in the store any more",
            where=prepared.store.root,
            remedy="the same command makes it again",
        )
    return prepared, made


def _record(job: PreparedJob, made: Artifacts) -> RunRecord:
    """What a run has left; of one that was never evaluated, what can be said of it nevertheless."""
    if (job.run_dir / RESULTS).exists():
        return read_run(job.run_dir, job.settings.get("allowed_targets", ()))
    specs = (job.teacher, job.student)
    models = {spec.role: {"name": spec.name, "parameters": job.parameters[spec.role]} for spec in specs}
    stages = made["student"].result.schedule if "student" in made else []
    results = found_results(job, made) | {"models": models, "metrics": {}, "schedule": stages}
    schedule: dict[str, Any] = {}
    if job.method.policy is not None:
        teacher = len(made["teacher"].result.trajectory) if "teacher" in made else None
        schedule = {"policy": type(job.method.policy).__name__, "num_checkpoints": teacher}
    config = dict(job.settings)
    task = task_of(results["task"], config, config.get("allowed_targets", ()))
    return RunRecord(
        results,
        costs={},
        schedule=schedule,
        trajectory=[],
        curves={},
        predictions={},
        samples=[],
        run={},
        config=config,
        task=task,
    )
