"""What a distillation spends its time on, seen from outside by a callback."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from lightning import Callback, LightningModule, Trainer

from scd_lightning.teachers.source import TeacherCounts
from scd_lightning.training.distillation import Distillation

PHASES = ("start", "teacher", "steps", "validation")


class Phases(Callback):
    """Counts the time between the hooks of a training, and how often the teacher was needed inside of epochs.

    It stands after the pipeline's own callbacks, so that at an epoch's start the schedule has been asked and signals
    are there.

    Args:
        clock: What counts, seconds of wall time or of processor time.

    Attributes:
        seconds: Of each of PHASES: until the first epoch; scheduling, probing, loading and making signals; steps;
            validating and keeping the best weights.
        within_epochs: Teacher loads and teacher forward passes of samples while steps were made.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._since = clock()
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.within_epochs = {"loads": 0, "forward_samples": 0}
        self._before = TeacherCounts()

    def _mark(self, phase: str) -> None:
        now = self._clock()
        self.seconds[phase] += now - self._since
        self._since = now

    def on_train_start(self, *_: Any) -> None:
        """The models are loaded, the loaders made."""
        self._mark("start")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The stage's teacher is ready."""
        self._mark("teacher")
        self._before = replace(cast(Distillation, pl_module).source.counts)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch's steps are done."""
        self._mark("steps")
        counts = cast(Distillation, pl_module).source.counts
        self.within_epochs["loads"] += counts.loads - self._before.loads
        self.within_epochs["forward_samples"] += counts.forward_samples - self._before.forward_samples

    def on_validation_end(self, *_: Any) -> None:
        """The best weights are kept."""
        self._mark("validation")
