"""Phase 4: every model answers the test split, once; or validation, where settings are being chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.heal import HEALED
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.predict import predict
from scd_lightning.pipeline.results import EvaluationResult
from scd_lightning.pipeline.student_training import WEIGHTS, starting_weights
from scd_lightning.pipeline.teacher_sft import TRAJECTORY
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import write_json_lines
from scd_lightning.training.costs import Meter
from scd_lightning.training.predictor import Prediction
from scd_lightning.training.sums import TaskMetric

PREDICTIONS = "predictions.jsonl"


@dataclass(frozen=True)
class Weights:
    """Which weights are evaluated.

    Attributes:
        spec: The model.
        store: Folder of the checkpoint store, or None for the model as it comes.
        index: Checkpoint in it.
    """

    spec: ModelSpec
    store: Path | None = None
    index: int = 0


def tuned_weights(job: PreparedJob, name: str, made: Mapping[str, Artifact]) -> Weights:
    """The weights that are reported for the teacher, the anchor or the student; without distillation the anchor's."""
    if name == "teacher":
        return Weights(job.teacher, made["teacher"].folder / TRAJECTORY, made["teacher"].result.best)
    holder = made["student"] if name == "student" and "student" in made else made["anchor"]
    return Weights(job.student, holder.folder / WEIGHTS)


def _untuned_weights(job: PreparedJob, name: str, made: Mapping[str, Artifact]) -> Weights:
    return Weights(getattr(job, name), starting_weights(made, HEALED) if name == "student" else None)


def load_weights(
    job: PreparedJob, name: str, made: Mapping[str, Artifact], *, tuned: bool = True
) -> tuple[CausalLM, str]:
    """A model with its weights, and their digest; for the arguments see `evaluate`."""
    weights = tuned_weights(job, name, made) if tuned else _untuned_weights(job, name, made)
    model = job.build(weights.spec)
    if weights.store is None:
        return model, "base"
    store = CheckpointStore(weights.store)
    store.load_into(model, weights.index)
    return model, store.digest(weights.index)


def judged_row(job: PreparedJob, split: str, prediction: Prediction, *, units: bool) -> dict[str, Any]:
    """A line of predictions.jsonl.

    Args:
        job: The run.
        split: The split.
        prediction: What a model makes of a sample of it.
        units: Whether "units" tell how sure the model is of each part of its answer, and whether that is right:
            [probability, right] each.
    """
    assert prediction.answer is not None
    task, sample = job.data.task, job.data.samples[split][prediction.index]
    judged = task.judge(sample, prediction.answer)
    row = judged.row(prediction.loss)
    if units:
        assert prediction.probability is not None
        probabilities = task.unit_probabilities(sample, judged, prediction.probability, prediction.lines or ())
        row["units"] = list(zip(probabilities, task.units_right(sample, judged), strict=True))
    return row


def evaluate(name: str, job: PreparedJob, folder: Path, made: Mapping[str, Artifact], *, tuned: bool = True) -> Outcome:
    """Has a model answer the split that is evaluated, and writes predictions.jsonl.

    Args:
        name: teacher, anchor or student.
        job: The run.
        folder: Where the predictions go.
        made: The artifacts that hold its weights.
        tuned: Whether it is those, or what a training of the task starts from.

    Returns:
        An `EvaluationResult`, and the costs.
    """
    meter = Meter()
    model, digest = load_weights(job, name, made, tuned=tuned)
    split = job.evaluation.split
    sure = job.evaluation.confidence and tuned and name != "teacher"
    predictions = predict(job, model, split, folder, digest, meter, probabilities=sure)
    rows = [judged_row(job, split, each, units=sure) for each in predictions]
    metric = TaskMetric(job.data.measures)
    metric.update(rows, [job.data.describe(split, prediction.index) for prediction in predictions])
    # Every process has all predictions: summing over processes would count them several times.
    metric.sync_on_compute = False
    # Metrics are float32: more digits would be those of its rounding.
    metrics = {name: round(float(value), 7) for name, value in metric.compute().items()}
    if distributed.rank() == 0:
        write_json_lines(folder / PREDICTIONS, rows)
    # Its own count: 4-bit weights are packed two in a byte.
    parameters = model.base.num_parameters()
    return Outcome(EvaluationResult(metrics, parameters), meter.read() | {"samples": len(predictions)})
