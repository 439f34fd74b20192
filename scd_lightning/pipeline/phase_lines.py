"""One line at the end of each step: what it was, what it reached, what it cost."""

from collections.abc import Mapping
from typing import Any

from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.store.artifacts import Artifact


def summarize(name: str, phase: str, artifact: Artifact, job: PreparedJob) -> str:
    """The line for one artifact."""
    costs = artifact.costs
    if artifact.reused:
        effort = f"reused from {artifact.folder}"
    else:
        effort = f"{costs['seconds']:.1f} s, {costs['peak_memory_bytes'] / 2**30:.2f} GiB{_loads(costs)}"
    return f"{phase}: {name}, {reached(name, artifact, job)} ({effort})"


def _loads(costs: Mapping[str, Any]) -> str:
    """How often the teacher's weights were loaded and how fast, where they were."""
    loads = costs.get("teacher_loads")
    if not loads:
        return ""
    speed = costs["teacher_load_bytes"] / max(costs["teacher_load_seconds"], 1e-3) / 1e9
    return f", {loads} teacher load{'' if loads == 1 else 's'} at {speed:.1f} GB/s"


def reached(name: str, artifact: Artifact, job: PreparedJob) -> str:
    """What an artifact is worth, in a phrase."""
    result = artifact.result
    metric = job.data.validation_metric
    if name == "teacher":
        trajectory, best = result["trajectory"], result["best"]
        value = trajectory[best]["metrics"]["metric"]
        count = (
            f"imported {len(trajectory)} checkpoints" if "imported" in result else f"{len(trajectory)} checkpoints kept"
        )
        return f"{count}, best {best} with validation {metric} {value:.3f}"
    if "metrics" in result:
        return f"{job.evaluation.split} {job.data.primary_metric} {result['metrics'][job.data.primary_metric]:.3f}"
    if "imported" in result:
        return f"imported, validation {metric} {result['validation_metric']:.3f}"
    return f"best epoch {result['best_epoch']} with validation {metric} {result['validation_metric']:.3f}"
