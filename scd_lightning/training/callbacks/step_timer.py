"""How long an optimizer step takes, for the estimate that a smoke run ends with."""

import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from scd_lightning.config.settings import PHASES
from scd_lightning.run_folder.removable import RUN_FILE
from scd_lightning.store.removal import delete
from scd_lightning.training.fine_tuning import FineTuning


class StepTimer(Callback):
    """Writes the median seconds of one training's steps to `step-seconds-<phase>.json`.

    It waits for the GPU at each end of a step, which costs time: for small runs only.

    Args:
        folder: Where the file goes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: list[float] = []
        self._since, self._step, self._sum = 0.0, 0, 0.0

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._since = time.perf_counter()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Adds a batch to its step; a step may have several."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._sum += time.perf_counter() - self._since
        if trainer.global_step != self._step:
            self.seconds.append(self._sum)
            self._step, self._sum = trainer.global_step, 0.0

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and self.seconds:
            assert isinstance(pl_module, FineTuning)
            path = self.folder / f"step-seconds-{pl_module.phase}.json"
            path.write_text(json.dumps(statistics.median(self.seconds)))


def read_step_seconds(folder: Path) -> dict[str, float]:
    """Phase -> seconds a step, of the trainings that ran; takes the files away."""
    found = {}
    for phase in PHASES:
        path = folder / f"step-seconds-{phase}.json"
        if not path.exists():
            continue
        found[phase] = float(json.loads(path.read_text()))
        delete(path, RUN_FILE, folder)
    return found
