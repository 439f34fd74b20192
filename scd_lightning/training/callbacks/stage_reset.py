"""The restart at each stage's beginning, for every student and the anchor alike."""

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override


class StageReset(Callback):
    """Clears the optimizer's state at the first epoch of a stage.

    The optimizer itself stays: replacing it in mid-training breaks DDP and resuming. The learning rate needs no reset,
    being a function of the step within the stage.

    Args:
        stage_epochs: Epochs of a stage, T.
    """

    def __init__(self, stage_epochs: int) -> None:
        self.stage_epochs = stage_epochs

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch % self.stage_epochs == 0:
            for optimizer in trainer.optimizers:
                optimizer.state.clear()
