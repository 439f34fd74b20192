"""Phase 5: the run folder, from finished artifacts."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.records import PARTIAL, RESULTS, read_predictions
from scd_lightning.analysis.run.convergence import doubts
from scd_lightning.analysis.run.run_pages import write_run_pages
from scd_lightning.analysis.subdomains import decompose
from scd_lightning.models.loading import weights_identity
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.evaluate import PREDICTIONS
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.results import TeacherResult
from scd_lightning.pipeline.runner import Artifacts, Step
from scd_lightning.pipeline.student_folder import write_student
from scd_lightning.store.manifest import sha256_json, write_json, write_text
from scd_lightning.store.removal import delete

MODELS = ("teacher", "anchor", "student")
_ADDED_COSTS = ("seconds", "cpu_seconds", "samples")


def report(job: PreparedJob, steps: Sequence[Step], made: Artifacts) -> tuple[dict[str, Any], str]:
    """Writes everything a reader of the run looks at.

    Args:
        job: The run.
        steps: Its steps.
        made: Their artifacts, evaluations included.

    Returns:
        The content of results.json, and the verdict.
    """
    folder = job.run_dir
    # An earlier run's: results.json says that all the rest is there.
    delete(folder / RESULTS)
    _copy_predictions(folder, made)
    _write_samples(job, folder / "predictions" / "samples.jsonl")
    write_tables(job, steps, made)
    write_student(job, made, folder / "student")
    results = _results(job, made)
    write_json(folder / RESULTS, results)
    delete(folder / PARTIAL)
    _, verdict = write_run_pages(folder, job.settings.get("allowed_targets", ()))
    return results, verdict


def write_tables(
    job: PreparedJob, steps: Sequence[Step], made: Artifacts, begun: Mapping[str, Any] | None = None
) -> None:
    """Writes costs, trajectory, curves and schedule as far as there are artifacts to take them from.

    Args:
        job: The run.
        steps: Its steps.
        made: Artifacts of some of them, or of all.
        begun: The curves so far of trainings that are not finished, by model.
    """
    folder = job.run_dir
    write_json(folder / "costs.json", _costs(steps, made))
    curves = {name: made[name].result.curve for name in MODELS if name in made}
    write_json(folder / "curves.json", curves | dict(begun or {}))
    if "teacher" in made:
        write_json(folder / "trajectory.json", made["teacher"].result.trajectory)
        if job.method.policy is not None:
            write_json(folder / "schedule.json", _schedule(job, made))


def found_results(job: PreparedJob, made: Artifacts) -> dict[str, Any]:
    """What results.json says of a run that need not be finished: nothing that takes all models' predictions."""
    specs = (job.teacher, job.student)
    return {
        "task": job.task.task,
        "data": job.data.description,
        "method": job.method.name,
        "seed": job.seed,
        "evaluated_split": job.evaluation.split,
        "versions": job.versions,
        "primary_metric": job.data.primary_metric,
        "models": {name: {"name": spec.name} for name, spec in zip(("teacher", "student"), specs, strict=True)},
        # Models that were brought along: their steps and kinds, by which no budget of ours is claimed for them.
        "imported": {
            name: made[name].result.imported
            for name in MODELS
            if name in made and made[name].result.imported is not None
        },
        "budget": {
            "stages": job.budget.stages,
            "stage_epochs": job.budget.stage_epochs,
            "teacher_epochs": None if job.trajectory else job.teacher.epochs,
        },
        "convergence": _convergence(job, made),
        "metrics": {
            name.removeprefix("evaluation of "): artifact.result.metrics
            for name, artifact in made.items()
            if name.startswith("evaluation")
        },
    }


def _convergence(job: PreparedJob, made: Artifacts) -> list[dict[str, Any]]:
    if not job.budget.warn:
        return []
    return doubts({name: vars(made[name].result) for name in MODELS if name in made}, job.budget.stage_epochs)


def _copy_predictions(folder: Path, made: Artifacts) -> None:
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    for name in MODELS:
        source = made[f"evaluation of {name}"].folder / PREDICTIONS
        shutil.copyfile(source, folder / "predictions" / f"{name}.jsonl")


def _write_samples(job: PreparedJob, path: Path) -> None:
    """The evaluated samples, in the order of the predictions: what a report shows beside the answers."""
    split = job.evaluation.split
    rows = (job.data.describe(split, index) for index in range(len(job.data.samples[split])))
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _results(job: PreparedJob, made: Artifacts) -> dict[str, Any]:
    return found_results(job, made) | {
        "models": {name: _model(job, name, made) for name in ("teacher", "student")},
        "subdomains": _subdomains(job.run_dir),
        "schedule": [
            {name: value for name, value in stage.items() if name != "weights"}
            for stage in (made["student"].result.schedule if "student" in made else [])
        ],
    }


def _model(job: PreparedJob, name: str, made: Artifacts) -> dict[str, Any]:
    evaluation = made[f"evaluation of {name}"]
    spec: ModelSpec = getattr(job, name)
    identity = {"weights": _starting_weights(spec), "tokenizer": job.tokenizer_identity}
    return {"name": spec.name, "parameters": evaluation.result.parameters, **identity}


def _starting_weights(spec: ModelSpec) -> str:
    """Digest that tells models of one name apart: what they start from, or their architecture where from scratch."""
    parts = (weights_identity(spec), spec.architecture, spec.vocab_size, spec.keep_layers)
    return sha256_json([dict(part) if isinstance(part, Mapping) else part for part in parts])[:24]


def _subdomains(folder: Path) -> dict[str, Any]:
    """The decompositions on the evaluated split, in nats and in task error, of what the run's folder holds."""
    rows = {name: read_predictions(folder, name) for name in MODELS}
    losses = {name: [row["loss"] for row in of_model] for name, of_model in rows.items()}
    errors = {name: [1 - row["correct"] for row in of_model] for name, of_model in rows.items()}
    return {
        f"{name}_vs_teacher": {
            risk: decompose(values[name], values["teacher"]).as_dict()
            for risk, values in (("loss", losses), ("error", errors))
        }
        for name in ("student", "anchor")
    }


def _costs(steps: Sequence[Step], made: Artifacts) -> dict[str, Any]:
    """Costs by phase; evaluations are added up, and count as reused only where all of them were."""
    phases: dict[str, dict[str, Any]] = {}
    for step in steps:
        if step.name not in made:
            continue
        artifact = made[step.name]
        # By name, so that a comparison counts once what several runs share.
        parts = {step.key.folder: artifact.costs.get("seconds", 0)}
        cost = {**artifact.costs, "reused": artifact.reused, "artifacts": parts}
        if step.phase not in phases:
            phases[step.phase] = cost
            continue
        total = phases[step.phase]
        total |= {name: round(total[name] + cost[name], 3) for name in _ADDED_COSTS}
        total["peak_memory_bytes"] = max(total["peak_memory_bytes"], cost["peak_memory_bytes"])
        total["reused"] = total["reused"] and artifact.reused
        total["artifacts"] |= parts
    return phases


def _schedule(job: PreparedJob, made: Artifacts) -> dict[str, Any]:
    stages = []
    for record in made["student"].result.schedule if "student" in made else ():
        parts = (record["best_kl"], record["student_kl"])
        score = [best + student for best, student in zip(*parts, strict=True)] if all(parts) else None
        stages.append(record | {"score": score})
    teacher: TeacherResult = made["teacher"].result
    return {
        "method": job.method.name,
        "policy": type(job.method.policy).__name__,
        "num_checkpoints": len(teacher.trajectory),
        "best_checkpoint": teacher.best,
        "stages": stages,
    }
