"""Notes how fast a training goes, for the benchmarks that run whole commands."""

import json
import time
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

# Steps at the beginning that are left out: memory is touched for the first time, kernels are chosen.
WARM_UP = 5


class Throughput(Callback):
    """Writes the seconds between the ends of two optimizer steps, all that happens in between included.

    A command takes it as `+callbacks.throughput={_target_: ..., _partial_: true, file: ...}`.

    Args:
        file: Where to.
    """

    def __init__(self, file: str) -> None:
        self.file, self._times, self._step = Path(file), [0.0], 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Notes the time after a step."""
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            self._times.append(time.perf_counter())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the file, from process 0."""
        if trainer.is_global_zero:
            times = self._times[1 + WARM_UP :]
            self.file.write_text(json.dumps([later - t for t, later in zip(times, times[1:], strict=False)]))
