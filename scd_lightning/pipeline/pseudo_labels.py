"""Phase 4 of `method=pl`: the student is fine-tuned on labels and on the teacher's answers as if they were labels."""

from collections.abc import Mapping
from pathlib import Path

from scd_lightning.pipeline.heal import HEALED
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.student_training import starting_weights, train_student
from scd_lightning.pipeline.texts import with_texts
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.training.costs import Meter
from scd_lightning.training.distillation import PseudoLabelling


def pseudo_label(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Trains the student, and keeps its best weights.

    Args:
        job: The run, with texts without labels.
        folder: Where they go.
        made: The teacher and its answers, and the anchor or the healed student whose weights are the start.

    Returns:
        A `StudentResult`, and the costs.
    """
    meter, whole = Meter(), with_texts(job, made)
    start = starting_weights(made, "anchor" if job.student.init == "anchor" else HEALED)
    scale = job.method.lr_scale
    _, result, volume = train_student(whole, folder, "distill", meter, PseudoLabelling, start=start, lr_scale=scale)
    return Outcome(result, meter.read() | volume)
