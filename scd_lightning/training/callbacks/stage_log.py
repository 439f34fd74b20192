"""What is logged while a student or the teacher trains, beyond what their modules log at the end of an epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor
from typing_extensions import override

from scd_lightning.loggers.job_loggers import PhaseLogger
from scd_lightning.training.callbacks.teacher_scheduler import TeacherScheduler
from scd_lightning.training.distillation import Distillation

WEIGHTS = "weights"


class StepLog(Callback):
    """Logs `learning_rate`, that of the next step, and `batch_loss`, the mean over the last `log_every_n_steps` steps.

    The loss is process 0's share: averaging over processes would cost a collective operation for a glance.
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None
        self._since = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Counts from here, which may be where an interrupted training goes on."""
        self._since = trainer.global_step
        for logger in trainer.loggers if self._since else ():
            if isinstance(logger, PhaseLogger):
                logger.goes_on()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Adds up on the device, and looks at the sum only when it is logged."""
        if not trainer.loggers:
            return
        # Lightning divides by the micro-batches of a step, so its losses of one step add up to that step's loss.
        loss = outputs["loss"].detach()
        self._loss = loss if self._loss is None else self._loss + loss
        step = trainer.global_step
        if step - self._since < trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        values = {
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "batch_loss": float(self._loss) / (step - self._since),
        }
        self._loss, self._since = None, step
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step)


class StageLog(Callback):
    """Logs the schedule as it comes about: what was chosen for a stage, and the weights of its last epoch.

    Args:
        scheduler: Chooses; its callback comes before this one.
    """

    def __init__(self, scheduler: TeacherScheduler) -> None:
        self.scheduler = scheduler

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        choice = self.scheduler.choices[-1]
        if trainer.current_epoch == choice.epochs[0]:
            self._log_weights(trainer, pl_module)
            log_choice(trainer.loggers, asdict(choice), trainer.global_step)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log_weights(trainer, pl_module)

    def _log_weights(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Distillation)
        if module.weight_counts:
            log_weights(trainer.loggers, module.weight_counts[-1], trainer.global_step)


def log_choice(loggers: Sequence[Logger], choice: Mapping[str, Any], step: int) -> None:
    """Logs the checkpoint of a stage and the scores that it was chosen by.

    Args:
        loggers: Loggers of the phase.
        choice: A `StageChoice` as a mapping.
        step: Optimizer step at which the stage begins.
    """
    values: dict[str, float] = {"stage": choice["stage"], "checkpoint": choice["checkpoint"]}
    if choice["best_kl"] is not None and choice["student_kl"] is not None:
        for i, (best, student) in enumerate(zip(choice["best_kl"], choice["student_kl"], strict=True)):
            values |= {f"score_{i}": best + student, f"student_kl_{i}": student}
    for logger in loggers:
        logger.log_metrics(values, step=step)


def log_weights(loggers: Sequence[Logger], counts: Sequence[int], step: int) -> None:
    """Logs the histogram of a stage's weights; loggers that know no histograms go without."""
    for logger in loggers:
        if isinstance(logger, PhaseLogger):
            logger.log_histogram(WEIGHTS, counts, step)
