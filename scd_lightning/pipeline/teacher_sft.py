"""Phase 1: fine-tune the teacher and keep its trajectory."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import seed_everything

from scd_lightning import distributed
from scd_lightning.errors import StoreError
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.results import Records, TeacherResult
from scd_lightning.progress import track
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointEntry, CheckpointStore, required_bytes
from scd_lightning.store.disk import check_free_space
from scd_lightning.store.manifest import read_sealed, write_npy, write_sealed
from scd_lightning.store.saved_state import RESUME
from scd_lightning.training.callbacks.phase_progress import PhaseProgress
from scd_lightning.training.callbacks.stage_log import StepLog
from scd_lightning.training.callbacks.trajectory import Trajectory, kept_steps
from scd_lightning.training.costs import Meter, training_volume
from scd_lightning.training.ending import tell_of_end
from scd_lightning.training.fine_tuning import FineTuning
from scd_lightning.training.finite import check_validation
from scd_lightning.training.resume.resumption import Resumption

TRAJECTORY = "trajectory"
VALIDATION_LOSSES = "validation_losses.npy"


def best_checkpoint(entries: list[CheckpointEntry]) -> int:
    """Index of the best checkpoint: highest validation metric, then lowest loss, then the later one."""
    return max(entries, key=lambda e: (e.metrics["metric"], -e.metrics["loss"], e.index)).index


def teacher_sft(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Fine-tunes the teacher, keeps N checkpoints and validates each.

    Args:
        job: The run.
        folder: Where the trajectory goes.
        made: No artifact is needed.

    Returns:
        A `TeacherResult`, and the costs.
    """
    meter, spec = Meter(), job.teacher
    seed_everything(job.seed, workers=True, verbose=False)
    data = job.data_module(spec.batch)
    total = spec.epochs * data.train_sampler().steps
    steps = kept_steps(total, spec.checkpoints)
    model = job.build(spec)
    store = CheckpointStore(folder / TRAJECTORY)
    # What an interrupted run has left is gone on from, or replaced one by one.
    needed = required_bytes(model, spec.checkpoints, keep_frozen=not spec.lora.r) - store.bytes
    check_free_space(job.store.root, needed)
    module = FineTuning(model, spec, job.data, job.tokenizer, job.objective, stage_steps=total)
    keep = Trajectory(store, steps, keep_frozen=not spec.lora.r)
    resumption = Resumption(job.resume, job.versions, folder, meter, total)
    own = [keep, PhaseProgress("teacher_sft", total), StepLog()]
    trainer = job.trainer(
        max_epochs=spec.epochs,
        callbacks=[*own, *job.new_callbacks(), resumption.callback],
        loggers=job.new_loggers("teacher_sft"),
        # The checkpoints are validated afterwards, at their own steps.
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resumption.path, weights_only=True)
    tell_of_end("teacher_sft", trainer.global_step, total)
    keep.close(trainer, module)
    validate_trajectory(job, module, store, folder)
    volume = training_volume(data, module.curve) | resumption.costs
    return Outcome(trajectory_result(store, curve=module.curve), meter.read() | volume)


def trajectory_result(store: CheckpointStore, **origin: Records) -> TeacherResult:
    """What is said of a kept and validated trajectory.

    Args:
        store: The checkpoints.
        **origin: The curve of their training, or what is known of those that were brought along.
    """
    trajectory = [{"index": e.index, "step": e.step, "metrics": e.metrics} for e in store.entries]
    return TeacherResult(best_checkpoint(store.entries), trajectory, **origin)


def validate_trajectory(job: PreparedJob, module: FineTuning, store: CheckpointStore, folder: Path) -> None:
    """Validates each checkpoint: its metrics go to the store, its sample losses to validation_losses.npy.

    All processes of a job call it together. Those that an interrupted run has validated are not validated again.

    Args:
        job: The run.
        module: Holds the model that the checkpoints are loaded into.
        store: The checkpoints.
        folder: Where validation_losses.npy goes: [N, S], each checkpoint's mean completion-token loss, in nats, on each
            sample of the validation split.
    """
    losses = []
    for index in track(range(store.count), "validating the trajectory", store.count):
        kept = folder / RESUME / f"validation-{store.digest(index)[:24]}.json"
        found = distributed.from_first_rank(_read_validation(kept)) or _validate(job, module, store, index)
        # JSON has no NaN, which a loss may be.
        losses.append([math.nan if loss is None else loss for loss in found["losses"]])
        if distributed.rank() == 0:
            write_sealed(kept, found)
            store.annotate(index, found["metrics"])
        distributed.barrier()
    if distributed.rank() == 0:
        dtype = np.float64 if module.sample_losses.values.dtype == torch.float64 else np.float32
        write_npy(folder / VALIDATION_LOSSES, np.asarray(losses, dtype))


def _read_validation(file: Path) -> dict[str, Any] | None:
    try:
        return read_sealed(file)
    except StoreError:  # Not there, or damaged.
        return None


def _validate(job: PreparedJob, module: FineTuning, store: CheckpointStore, index: int) -> dict[str, Any]:
    store.load_into(module.lm, index)
    trainer = job.trainer()
    trainer.validate(module, datamodule=job.data_module(), verbose=False)
    assert module.last_losses is not None
    logged = trainer.callback_metrics
    metrics = {"metric": float(logged["validation_metric"]), "loss": float(logged["validation_loss"])}
    check_validation(
        metrics,
        "a teacher's checkpoint",
        where=f"teacher_sft, optimizer step {store.entries[index].step}",
        remedy="lower teacher.optimizer.lr; of checkpoints that were brought along, leave this one out",
        precision=str(trainer.precision),
    )
    return {"metrics": metrics, "losses": [x if math.isfinite(x) else None for x in module.last_losses.tolist()]}
