"""Phase 5: the run folder, from finished artifacts."""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scd_lightning.analysis.confidence.measured import CONFIDENCE
from scd_lightning.analysis.records import PARTIAL, RESULTS, read_predictions
from scd_lightning.analysis.run.convergence import doubts
from scd_lightning.analysis.run.run_pages import write_run_pages
from scd_lightning.analysis.subdomains import decompose
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.models.loading import weights_identity
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.confidence import student_confidence
from scd_lightning.pipeline.evaluate import PREDICTIONS
from scd_lightning.pipeline.export_check import check_export
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.results import EvaluationResult, HealedResult, TeacherResult
from scd_lightning.pipeline.runner import Artifacts, Step
from scd_lightning.pipeline.shown_results import shown_results
from scd_lightning.pipeline.student_folder import write_student
from scd_lightning.pipeline.texts import Answered, read_answers, text_facts, text_rows
from scd_lightning.run_folder.removable import RUN_FILE
from scd_lightning.store.manifest import sha256_json, write_atomically, write_json, write_json_lines
from scd_lightning.store.removal import delete

MODELS = ("teacher", "anchor", "student")
_ADDED_COSTS = ("seconds", "cpu_seconds", "samples", "tokens", "teacher_forward_samples", "flops")


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
    delete(folder / RESULTS, RUN_FILE, folder)
    answered = read_answers(job, made["answers"]) if "answers" in made else None
    _write_predictions(job, folder / "predictions", made, answered)
    write_tables(job, steps, made)
    confidence = student_confidence(job, made)
    with job.folder.exporting() as student:
        write_student(job, made, student, confidence)
    if confidence is None:
        delete(folder / CONFIDENCE, RUN_FILE, folder)
    else:
        write_json(folder / CONFIDENCE, confidence.as_json())
    found = check_export(job, folder / "student", read_predictions(folder, "student"))
    sure = {} if confidence is None else {"confidence": confidence.summary()}
    results = shown_results(_results(job, made, answered) | sure | {"export_check": found})
    write_json(folder / RESULTS, results)
    delete(folder / PARTIAL, RUN_FILE, folder)
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


def found_results(job: PreparedJob, made: Artifacts, answered: Answered | None = None) -> dict[str, Any]:
    """What results.json says of a run that need not be finished: nothing that takes all models' predictions.

    Args:
        job: The run.
        made: Its artifacts, as far as they are made.
        answered: The teacher's answers to texts, where they were read already.
    """
    trained = {name: made[name].result for name in MODELS if name in made}
    answers = made.get("answers")
    texts = None if answers is None else text_facts(job, answers, answered or read_answers(job, answers))
    return {
        "task": job.task.task,
        "data": job.data.description | ({"unlabelled": texts} if texts else {}),
        "method": job.method.name,
        "seed": job.seed,
        "evaluated_split": job.evaluation.split,
        "versions": job.versions,
        "primary_metric": job.data.primary_metric,
        "models": {spec.role: {"name": spec.name} for spec in (job.teacher, job.student)},
        # Models that were brought along: their steps and kinds, by which no budget of ours is claimed for them.
        "imported": {name: each.imported for name, each in trained.items() if each.imported is not None},
        **({} if not (healed := _healed(made)) else {"healing": healed}),
        "budget": _budget(job),
        **({} if job.budget.samples is None else {"samples_seen": _samples_seen(made)}),
        "convergence": doubts({name: vars(each) for name, each in trained.items()}, _stage_epochs(job, texts))
        if job.budget.warn
        else [],
        "metrics": {
            name.removeprefix("evaluation of "): artifact.result.metrics
            for name, artifact in made.items()
            if isinstance(artifact.result, EvaluationResult)
        },
    }


def _healed(made: Artifacts) -> list[dict[str, Any]]:
    """What each round of healing has reached."""
    results = [artifact.result for artifact in made.values() if isinstance(artifact.result, HealedResult)]
    return [{name: value for name, value in vars(result).items() if name != "curve"} for result in results]


def _budget(job: PreparedJob) -> dict[str, Any]:
    """What was asked for: with samples, one budget is other epochs for students of other rows, which are none of it."""
    teacher_epochs = {"teacher_epochs": None if job.trajectory else job.teacher.epochs}
    if job.budget.samples is None:
        return {"stages": job.budget.stages, "stage_epochs": job.budget.stage_epochs} | teacher_epochs
    return {"stages": job.budget.stages, "stage_epochs": None, "samples": job.budget.samples} | teacher_epochs


def _samples_seen(made: Artifacts) -> dict[str, int]:
    """What whole epochs have made of the samples that were asked for; nothing of an anchor from elsewhere."""
    costs = {name: made[name].costs for name in ("anchor", "student") if name in made}
    return {name: cost["samples"] for name, cost in costs.items() if "samples" in cost}


def _stage_epochs(job: PreparedJob, texts: Mapping[str, Any] | None) -> dict[str, int]:
    """Epochs of a stage of each student's training."""
    labelled = len(job.data.samples["train"])
    rows = {"anchor": labelled, "student": labelled + (texts["kept"] if texts else 0)}
    return {name: job.budget.on(count).stage_epochs for name, count in rows.items()}


def _write_predictions(job: PreparedJob, folder: Path, made: Artifacts, answered: Answered | None) -> None:
    """The models' answers and, in the same order, the evaluated samples, which a report shows beside them."""
    for name in MODELS:
        source = made[f"evaluation of {name}"].folder / PREDICTIONS
        write_atomically(folder / f"{name}.jsonl", partial(shutil.copyfile, source))
    split = job.evaluation.split
    rows = (job.data.describe(split, index) for index in range(len(job.data.samples[split])))
    if answered is not None:
        write_json_lines(folder / f"{UNLABELLED}.jsonl", text_rows(job, answered))
    write_json_lines(folder / "samples.jsonl", rows)


def _results(job: PreparedJob, made: Artifacts, answered: Answered | None) -> dict[str, Any]:
    return found_results(job, made, answered) | {
        "models": {spec.role: _model(job, spec, made) for spec in (job.teacher, job.student)},
        "subdomains": _subdomains(job.run_dir),
        "schedule": [
            {name: value for name, value in stage.items() if name != "weights"}
            for stage in (made["student"].result.schedule if "student" in made else [])
        ],
    }


def _model(job: PreparedJob, spec: ModelSpec, made: Artifacts) -> dict[str, Any]:
    # Models of one name are told apart by what they start from, or by their architecture where from scratch.
    parts: list[Any] = [weights_identity(spec), spec.architecture, spec.vocab_size, spec.keep_layers]
    if spec is job.student and job.healing:
        parts += [job.student.heal_epochs, job.student.heal_lr]
    return {
        "name": spec.name,
        "parameters": made[f"evaluation of {spec.role}"].result.parameters,
        "weights": sha256_json([dict(part) if isinstance(part, Mapping) else part for part in parts])[:24],
        "tokenizer": job.tokenizer_identity,
    }


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
    """Costs by phase; what a phase makes several of is added up, and counts as reused only where all of it was."""
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
        total |= {name: round(total[name] + cost[name], 3) for name in _ADDED_COSTS if name in cost}
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
