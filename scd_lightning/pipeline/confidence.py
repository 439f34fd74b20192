"""How far the student's own probabilities can be relied on: by validation first, then by the split that is reported."""

from collections.abc import Mapping
from pathlib import Path

from scd_lightning import distributed
from scd_lightning.analysis.confidence.measured import Confidence, measure
from scd_lightning.analysis.confidence.units import units_of
from scd_lightning.pipeline.evaluate import PREDICTIONS, judged_row, load_weights
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.predict import predict
from scd_lightning.pipeline.results import ConfidenceResult
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.manifest import read_json_lines, write_json_lines
from scd_lightning.training.costs import Meter

# The step's name within a job.
STEP = "confidence of student"
ANSWERS = "validation.jsonl"


def answer_validation(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Has the student answer the validation split, and say how sure it is.

    Args:
        job: The run.
        folder: Where validation.jsonl goes: rows as in predictions/*.jsonl.
        made: The artifacts that hold its weights.

    Returns:
        A `ConfidenceResult`, and the costs.
    """
    meter = Meter()
    model, digest = load_weights(job, "student", made)
    predictions = predict(job, model, "validation", folder, digest, meter, losses=False, probabilities=True)
    rows = [judged_row(job, "validation", each, units=True) for each in predictions]
    if distributed.rank() == 0:
        write_json_lines(folder / ANSWERS, rows)
    units = units_of(rows)
    means = (float(each.mean()) if len(units) else None for each in (units.probability, units.right))
    return Outcome(ConfidenceResult(len(units), *means), meter.read() | {"samples": len(predictions)})


def student_confidence(job: PreparedJob, made: Mapping[str, Artifact]) -> Confidence | None:
    """What is known of the student's confidence; None where it is not to be measured, or no answer says anything."""
    if not job.evaluation.confidence:
        return None
    reported = units_of(read_json_lines(made["evaluation of student"].folder / PREDICTIONS))
    test = reported if job.evaluation.split == "test" else None
    validation = units_of(read_json_lines(made[STEP].folder / ANSWERS)) if STEP in made else reported
    if not len(validation):
        return None
    return measure(job.data.task.unit, validation, test, chosen=job.data.task.chooses)
