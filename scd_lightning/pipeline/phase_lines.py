"""What a run says of itself: its models in a line, and at the end of each step what it was, reached and cost."""

from scd_lightning.analysis.confidence.measured import UNITS
from scd_lightning.analysis.formatting import short_count
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.results import (
    AnswersResult,
    ConfidenceResult,
    EvaluationResult,
    HealedResult,
    TeacherResult,
)
from scd_lightning.store.artifacts import Artifact


def models_line(job: PreparedJob) -> str:
    """Who teaches whom, and what."""
    teacher, student = (job.parameters[role] for role in ("teacher", "student"))
    pair = f"{job.teacher.name} {short_count(teacher)} -> {job.student.name} {short_count(student)}"
    task = job.data.description.get("name") or job.task.task
    return f"{pair} (x{teacher / student:.2g}), task {task}, method {job.method.name}, seed {job.seed}"


def summarize(name: str, phase: str, artifact: Artifact, job: PreparedJob) -> str:
    """The line for one artifact."""
    costs = artifact.costs
    if artifact.reused:
        effort = f"reused from {artifact.folder}"
    else:
        effort = f"{costs['seconds']:.1f} s, {costs['peak_memory_bytes'] / 2**30:.2f} GiB"
        if "flops" in costs:
            effort += f", {costs['flops'] / 1e12:.3g} TFLOP"
        if loads := costs.get("teacher_loads"):
            speed = costs["teacher_load_bytes"] / max(costs["teacher_load_seconds"], 1e-3) / 1e9
            effort += f", {loads} teacher load{'' if loads == 1 else 's'} at {speed:.1f} GB/s"
    return f"{phase}: {name}, {reached(artifact, job)} ({effort})"


def reached(artifact: Artifact, job: PreparedJob) -> str:
    """What an artifact is worth, in a phrase."""
    result, metric = artifact.result, job.data.validation_metric
    if isinstance(result, TeacherResult):
        count = f"{len(result.trajectory)} checkpoints"
        count = f"{count} kept" if result.imported is None else f"imported {count}"
        value = result.trajectory[result.best]["metrics"]["metric"]
        return f"{count}, best {result.best} with validation {metric} {value:.3f}"
    if isinstance(result, HealedResult):
        fall = f"{result.thinned:.3f} -> {result.divergence:.3f}"
        return f"{result.layers} of {result.of} layers, validation KL to the whole model {fall}"
    if isinstance(result, AnswersResult):
        return f"{result.answered} texts without labels answered, {result.malformed} malformed"
    if isinstance(result, ConfidenceResult):
        of = UNITS[job.data.task.unit]
        if result.probability is None:
            return f"no {of} to the validation split"
        sure = f"{result.probability:.3f} sure on average, {result.right:.3f} right"
        return f"{result.units} {of} to the validation split, {sure}"
    if isinstance(result, EvaluationResult):
        return f"{job.evaluation.split} {job.data.primary_metric} {result.metrics[job.data.primary_metric]:.3f}"
    reached = "imported," if result.best_epoch is None else f"best epoch {result.best_epoch} with"
    return f"{reached} validation {metric} {result.validation_metric:.3f}"
