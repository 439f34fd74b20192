"""Saves the state of a training now and then, and when a signal asks for it, so that it can go on after anything."""

import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.errors import StoreError
from scd_lightning.launch import preemption
from scd_lightning.progress import say
from scd_lightning.store.saved_state import ResumeState
from scd_lightning.training.private_parts import loops_state, next_is_a_batch
from scd_lightning.training.resume.state_io import StateIO

# Saving takes at most one part in so many of the time, when nobody asks for more.
_RATIO = 60
# What a first save is taken to write, in bytes a second; then it is known.
_SPEED = 500e6


@dataclass(frozen=True)
class _EpochEnd:
    """What a state saved until the next epoch's first step has of the end of the one before, where it goes on from.

    Weights and optimizers are the same by then, and the choice of a checkpoint is made anew.
    """

    loops: dict[str, Any]
    generators: dict[str, Any]


class SaveState(Checkpoint):
    """Saves between optimizer steps: by steps, by time, at the ends of epochs, and before a signal ends the run.

    Saves by time, and those at the ends of epochs, are further apart where a save takes long: they stay below 2 % of
    the training's time. All processes save together; process 0 writes.

    It is one of Lightning's `Checkpoint`s, whose hooks come after those of all other callbacks and of the module.

    Args:
        state: Where to.
        every_steps: Optimizer steps between two saves, whatever they cost; None for none by steps.
        every_seconds: Time between two saves; None for none by time.
        total_steps: Optimizer steps of the whole training.
        about: What else to keep with a state, JSON values.

    Attributes:
        saves: How often a state was saved.
        seconds: What that took.
    """

    def __init__(
        self,
        state: ResumeState,
        *,
        every_steps: int | None,
        every_seconds: float | None,
        total_steps: int,
        about: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.state, self.every_steps, self.every_seconds = state, every_steps, every_seconds
        self.total_steps, self.about = total_steps, about
        self._io = StateIO(state.root)
        self._rng: list[dict[str, Any]] = []
        self._vote = distributed.Vote()
        # Open while a signal waits for a place to save at, and while there are such places between two epochs.
        self._deferring, self._between = ExitStack(), ExitStack()
        self._defers = False
        self._at_epoch_end: _EpochEnd | None = None
        self._seen = self._saved_step = 0
        self._saved_at, self._cost = time.monotonic(), 0.0
        self.saves, self.seconds = 0, 0.0

    # What is saved.

    @property
    @override
    def state_key(self) -> str:
        return "scd_lightning.SaveState"

    @override
    def state_dict(self) -> dict[str, Any]:
        """The random number generators of all processes, and what saving has cost; all call it together."""
        generators = _generators() if self._at_epoch_end is None else self._at_epoch_end.generators
        return {"rng": distributed.gather_lists([generators]), "saves": self.saves, "seconds": self.seconds}

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Between two epochs, has the end of the first one saved: Lightning miscounts what has begun of the next."""
        if self._at_epoch_end is not None:
            checkpoint["loops"] = self._at_epoch_end.loops

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back, the generators once the training starts."""
        self._rng, self.saves, self.seconds = (state_dict[name] for name in ("rng", "saves", "seconds"))

    # When.

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.strategy.checkpoint_io is not self._io:  # Else this trainer has trained before.
            self._io.others = trainer.strategy.checkpoint_io
            trainer.strategy.checkpoint_io = self._io

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Goes on with the random numbers where they were; with another number of processes, with the first one's."""
        self._vote = distributed.Vote()
        self._seen = self._saved_step = trainer.global_step
        self._saved_at = time.monotonic()
        size = sum(p.numel() * p.element_size() for p in pl_module.parameters() if p.requires_grad)
        self._cost = self._cost or 3 * size / _SPEED  # The weights and the optimizer's two moments.
        if self._rng:
            rank = distributed.rank()
            _set_generators(self._rng[rank if len(self._rng) == distributed.world_size() else 0])
            self._rng = []

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """From here on a signal waits for the step's end."""
        self._close_between()
        if not self._defers:
            self._deferring.enter_context(preemption.deferred())
            self._defers = True

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Looks whether to save, after each optimizer step but those before a validation or an epoch's end.

        What follows these is no place to start: Lightning would take it for done.

        Several processes hear a step later what all of them wanted, so that none waits for an answer.
        """
        step = trainer.global_step
        if step == self._seen:
            return
        self._seen = step
        wanted = self._vote.ask(self._wishes(step))
        if next_is_a_batch(trainer):
            self._follow(trainer, *wanted)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves where that costs little; the epoch is validated by now. Until the next one a signal saves too."""
        cheap = time.monotonic() - self._saved_at >= _RATIO * self._cost
        timed = self.every_seconds is not None and cheap
        signal, due = self._vote.ask_and_wait((self._wishes(trainer.global_step)[0], timed or self._due_by_steps()))
        self._follow(trainer, signal, due)
        self._at_epoch_end = _EpochEnd(loops_state(trainer), _generators())
        self._between.enter_context(preemption.ending_by(partial(self._look, trainer)))

    def _look(self, trainer: Trainer) -> None:
        """Between two epochs: saves and ends the run where any process was told to; no process waits for an answer."""
        signal, _ = self._vote.ask((preemption.requested() is not None, False))
        self._follow(trainer, signal, due=False)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_deferring()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop_deferring()

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._stop_deferring()

    def _stop_deferring(self) -> None:
        """From here on a signal ends the run at once."""
        self._close_between()
        self._defers = False
        self._deferring.close()

    def _close_between(self) -> None:
        self._between.close()
        self._at_epoch_end = None

    def _wishes(self, step: int) -> tuple[bool, bool]:
        """Whether this process was told to end, and whether it would save."""
        waited = time.monotonic() - self._saved_at
        timed = self.every_seconds is not None and waited >= max(self.every_seconds, _RATIO * self._cost)
        # One clock decides.
        return preemption.requested() is not None, self._due_by_steps() or (timed and distributed.rank() == 0)

    def _due_by_steps(self) -> bool:
        return self.every_steps is not None and self._seen - self._saved_step >= self.every_steps

    def _follow(self, trainer: Trainer, signal: bool, due: bool) -> None:
        if signal or due:
            self._save(trainer)
        if signal:
            preemption.end()

    def _save(self, trainer: Trainer) -> None:
        start = time.monotonic()
        path = distributed.from_first_rank(self._begin(trainer.global_step) if trainer.is_global_zero else None)
        if path is not None:
            trainer.save_checkpoint(path)
            if trainer.is_global_zero:
                self._commit(trainer, path)
            trainer.strategy.barrier()
        # A save that failed counts too: the next try comes when the next save is due.
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self._cost = self._saved_at - start
        self.saves, self.seconds = self.saves + 1, self.seconds + self._cost

    def _begin(self, step: int) -> Path | None:
        try:
            return self.state.begin(step)
        except OSError as error:
            self._warn(error)
            return None

    def _commit(self, trainer: Trainer, path: Path) -> None:
        where = {"step": trainer.global_step, "total_steps": self.total_steps, "epoch": trainer.current_epoch}
        try:
            if self._io.error is not None:
                raise self._io.error
            self.state.commit(path, where | {"curve": _curve(trainer.lightning_module)} | dict(self.about()))
        except (OSError, StoreError) as error:
            self.state.tidy()
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """A training that could go on to its end must not fail for want of a state that it might never need."""
        say(f"  The state of this training can't be saved, the one before stays, and it goes on: {error}")


def _curve(module: LightningModule) -> list[dict[str, Any]]:
    """The training's curve so far, for a report of an unfinished one; JSON knows finite numbers only."""
    points: list[dict[str, Any]] = getattr(module, "curve", [])
    return [{name: each for name, each in point.items() if each is None or math.isfinite(each)} for point in points]


def _generators() -> dict[str, Any]:
    """The states of all generators that anything in a training may draw from."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    found = {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def _set_generators(states: Mapping[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])
