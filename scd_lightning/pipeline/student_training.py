"""Training a student for its budget: what the anchor and the distilled student have in common."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, seed_everything

from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.results import StudentResult
from scd_lightning.store.artifacts import Artifact
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.training.callbacks.best_weights import BestWeights
from scd_lightning.training.callbacks.phase_progress import PhaseProgress
from scd_lightning.training.callbacks.stage_log import StepLog
from scd_lightning.training.callbacks.stage_reset import StageReset
from scd_lightning.training.costs import Meter, training_volume
from scd_lightning.training.ending import tell_of_end
from scd_lightning.training.fine_tuning import FineTuning
from scd_lightning.training.resume.resumption import Resumption

WEIGHTS = "weights"
TRAIN_LOSSES = "train_losses.npy"


def starting_weights(made: Mapping[str, Artifact], name: str) -> Path | None:
    """Folder of the checkpoint store that a training starts from; None for the base weights.

    Args:
        made: A job's artifacts so far.
        name: The one that holds the weights, if the job has it.
    """
    return made[name].folder / WEIGHTS if name in made else None


def train_student(
    job: PreparedJob,
    folder: Path,
    phase: str,
    meter: Meter,
    make_module: Callable[..., FineTuning],
    callbacks: Sequence[Callback] = (),
    start: Path | None = None,
    lr_scale: float = 1.0,
) -> tuple[FineTuning, StudentResult, dict[str, Any]]:
    """Trains on the common batches, and keeps the best weights.

    Args:
        job: The run, with its budget `on` the samples that this training has.
        folder: Where to keep them.
        phase: Name of the phase.
        meter: Measures the phase.
        make_module: Makes the module from the arguments that all students share.
        callbacks: What this training adds.
        start: Folder of the checkpoint store whose weights it starts from; None for the base weights.
        lr_scale: Factor on the learning rate that this training has beside the budget's.

    Returns:
        The module with its best weights, the result, and the volume of the work.
    """
    seed_everything(job.seed, workers=True, verbose=False)
    data = job.data_module(job.budget.batch)
    epoch_steps = data.train_sampler().steps
    model = job.build(job.student)
    if start is not None:
        CheckpointStore(start).load_into(model, 0)
    module = make_module(
        model=model,
        spec=job.student,
        data=job.data,
        tokenizer=job.tokenizer,
        objective=job.objective,
        stage_steps=epoch_steps * job.budget.stage_epochs,
        lr_scale=job.budget.lr_scale * lr_scale,
    )
    best = BestWeights(folder / WEIGHTS, keep_frozen=not job.student.lora.r)
    total = epoch_steps * job.budget.epochs
    resumption = Resumption(job.resume, job.versions, folder, meter, total, [WEIGHTS])
    own = [StageReset(job.budget.stage_epochs), *callbacks, best, PhaseProgress(phase, total), StepLog()]
    trainer = job.trainer(
        max_epochs=job.budget.epochs,
        callbacks=[*own, *job.new_callbacks(), resumption.callback],
        loggers=job.new_loggers(phase),
    )
    trainer.fit(module, datamodule=data, ckpt_path=resumption.path, weights_only=True)
    tell_of_end(phase, trainer.global_step, total)
    if best.best is None:  # A callback has ended the training before it was validated.
        trainer.validate(module, datamodule=data, verbose=False)
        module.curve[-1] |= module.last_validation
    CheckpointStore(folder / WEIGHTS).load_into(model, 0)
    assert best.best is not None
    metric, loss, epoch = best.best
    # After a training, Lightning counts one more.
    result = StudentResult(metric, loss, min(epoch, len(module.curve) - 1), module.curve)
    return module, result, training_volume(data, module.curve) | resumption.costs
