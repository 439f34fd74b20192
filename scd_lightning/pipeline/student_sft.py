"""Phase 2: fine-tune the student alone under the students' budget. It is the baseline, and the anchor of AW."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from scd_lightning import distributed
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.pipeline.heal import HEALED
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.predict import predict
from scd_lightning.pipeline.student_training import TRAIN_LOSSES, WEIGHTS, starting_weights, train_student
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import write_npy
from scd_lightning.training.costs import Meter
from scd_lightning.training.fine_tuning import FineTuning


def student_sft(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Trains the anchor and keeps its best weights and its per-sample losses Ls(x) on the training split.

    Args:
        job: The run.
        folder: Where they go.
        made: The healed student, where it is thinned and healed.

    Returns:
        A `StudentResult`, and the costs.
    """
    meter, job = Meter(), replace(job, budget=job.budget.on(len(job.data.samples["train"])))
    start = starting_weights(made, HEALED)
    module, result, volume = train_student(job, folder, "student_sft", meter, FineTuning, start=start)
    keep_train_losses(job, module.lm, folder, meter)
    return Outcome(result, meter.read() | volume)


def keep_train_losses(job: PreparedJob, model: CausalLM, folder: Path, meter: Meter) -> None:
    """Writes an anchor's per-sample losses on the training split, in its order; all processes call it together."""
    digest = CheckpointStore(folder / WEIGHTS).digest(0)
    predictions = predict(job, model, "train", folder, digest, meter, answers=False)
    if distributed.rank() == 0:
        dtype = np.float64 if next(model.parameters()).dtype == torch.float64 else np.float32
        write_npy(folder / TRAIN_LOSSES, np.asarray([each.loss for each in predictions], dtype))
