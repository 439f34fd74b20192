"""What goes to the loggers around the trainings: the job's name and settings, reused phases, results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.analysis.run.differences import COLUMNS, differing_samples
from scd_lightning.loggers.job_loggers import JobInfo, JobLoggers, PhaseLogger
from scd_lightning.loggers.shown_settings import flat, public_settings
from scd_lightning.pipeline.heal import log_name
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.results import AnswersResult, ConfidenceResult, EvaluationResult, HealedResult
from scd_lightning.redaction.cleaning import clean, clean_text
from scd_lightning.store.artifacts import Artifact
from scd_lightning.training.callbacks.stage_log import log_choice, log_weights

TABLE_ROWS = 200
_MODELS = {"student": "", "teacher": "teacher_", "anchor": "anchor_"}


def job_info(job: PreparedJob, *, leads: bool) -> JobInfo:
    """What loggers say of a prepared job: methods and seeds of one data set and one pair of models stand together.

    Args:
        job: The job.
        leads: See `JobInfo`.
    """
    data = job.data.description
    teacher, student = (spec.name.split("/")[-1] for spec in (job.teacher, job.student))
    settings = public_settings(job.settings) | {"versions": job.versions}
    settings["data"] = clean({name: data[name] for name in ("name", "digest", "sizes")})
    return JobInfo(
        name=clean_text(f"{job.method.name}-{job.seed}"),
        group=clean_text(f"{data['name']}: {teacher} -> {student}"),
        method=clean_text(job.method.name),
        settings=settings,
        leads=leads,
        swept=job.swept,
    )


def log_artifact(job: PreparedJob, phase: str, artifact: Artifact) -> None:
    """Logs what a training's result adds to its live curves: a reused one has had none, so its own are logged again.

    Args:
        job: The job.
        phase: The phase that makes the artifact.
        artifact: The teacher, the anchor, the student or a healed one; others have no curves.
    """
    result = artifact.result
    if isinstance(result, EvaluationResult | AnswersResult | ConfidenceResult) or distributed.rank() != 0:
        return
    if isinstance(result, HealedResult):
        phase = log_name(result.layers)
    # In CSV the trajectory has a file of its own.
    loggers = [each for each in job.new_loggers(phase) if artifact.reused or isinstance(each, PhaseLogger)]
    if artifact.reused:
        curve, schedule = result.curve, getattr(result, "schedule", ())
        ends = {point["epoch"] + 1: point["step"] for point in curve} | {0: 0}
        for record in schedule:
            log_choice(loggers, record, ends[record["epochs"][0]])
        for point in curve:
            _log(loggers, point)
        for record in schedule:
            log_weights(loggers, record["weights"], ends[record["epochs"][1] + 1])
    for point in getattr(result, "trajectory", ()):
        values = {f"validation_{name}": value for name, value in point["metrics"].items()}
        _log(loggers, {"step": point["step"], **values})
    for logger in loggers:
        logger.save()
        logger.finalize("success")


def _log(loggers: list[Any], point: Mapping[str, Any]) -> None:
    values = {name: value for name, value in point.items() if name != "step" and value is not None}
    for logger in loggers:
        # A file of an earlier command of the run has more than a saved curve.
        if point["step"] > getattr(logger, "held", -1):
            logger.log_metrics(values, step=point["step"])


def log_results(
    loggers: JobLoggers, results: Mapping[str, Any], verdict: str, made: Mapping[str, Artifact], folder: Path
) -> None:
    """Logs a finished job's metrics, its verdict, and a table of the samples where student and teacher differ.

    Args:
        loggers: The job's loggers.
        results: The content of results.json.
        verdict: The run in a sentence.
        made: The job's artifacts.
        folder: The run's folder, whose predictions are read.
    """
    student = made.get("student", made["anchor"]).result
    values = result_values(results) | {"validation/metric": student.validation_metric}
    loggers.results(values, verdict)
    loggers.table(f"{results['evaluated_split']}/differences", COLUMNS, differing_samples(folder, TABLE_ROWS))


def result_values(results: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of results.json under the names that loggers show them by.

    Args:
        results: Its content.

    Returns:
        `test/<metric>` of the student, `test/teacher_<metric>`, `test/anchor_<metric>`; `test/lead`, the student's
        primary metric minus the teacher's; and the subdomains as `subdomains/<pair>.<risk>.<name>`. In place of "test"
        stands the split that was evaluated.
    """
    split = results["evaluated_split"]
    values = {
        f"{split}/{prefix}{name}": value
        for model, prefix in _MODELS.items()
        for name, value in results["metrics"][model].items()
    }
    primary = results["primary_metric"]
    values[f"{split}/lead"] = values[f"{split}/{primary}"] - values[f"{split}/teacher_{primary}"]
    return values | {f"subdomains/{name}": value for name, value in flat(results["subdomains"]).items()}
