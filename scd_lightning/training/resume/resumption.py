"""Trainings that go on where an interruption ended them: what the user sets, and each phase's part of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.config.settings import ResumeSettings
from scd_lightning.errors import StoreError
from scd_lightning.progress import say
from scd_lightning.store.checkpoints import MANIFEST, CheckpointStore
from scd_lightning.store.layout import KEPT_NAME, check_name
from scd_lightning.store.saved_state import STATE, ResumeState, SavedState
from scd_lightning.training.costs import Meter
from scd_lightning.training.resume.save_state import SaveState

_VERSIONS = ("torch", "lightning", "scd_lightning")


class Resumption:
    """One phase's training, from the beginning or from where it was interrupted. All processes make one together.

    Args:
        settings: When to save.
        versions: Versions that numbers depend on: a state of others is not gone on from.
        folder: The artifact that is being made.
        meter: Measures the phase; what it cost before the interruption is added.
        total_steps: Optimizer steps of the whole training.
        replaced: As in `ResumeState`.

    Attributes:
        path: The state to go on from, for Lightning; None at the beginning.
        callback: Saves states.
    """

    def __init__(
        self,
        settings: ResumeSettings,
        versions: Mapping[str, str],
        folder: Path,
        meter: Meter,
        total_steps: int,
        replaced: Sequence[str] = (),
    ) -> None:
        own = {name: versions[name] for name in _VERSIONS}
        self._state, self._meter = ResumeState(folder, replaced, own), meter
        self.path = distributed.from_first_rank(self._find() if distributed.rank() == 0 else None)
        minutes = settings.every_minutes
        self.callback = SaveState(
            self._state,
            every_steps=settings.every_steps,
            every_seconds=None if minutes is None else 60 * minutes,
            total_steps=total_steps,
            about=lambda: {"costs": meter.read(), "kept": self._kept()},
        )

    @property
    def costs(self) -> dict[str, Any]:
        """What saving has cost."""
        return {"saves": self.callback.saves, "save_seconds": round(self.callback.seconds, 3)}

    def _find(self) -> Path | None:
        try:
            saved = self._state.find()
            if saved is not None:
                self._check_kept(saved)
        except StoreError as error:
            say(f"  The state that an interrupted run has saved can't be used, so this phase starts over: {error}")
            self._state.give_up()
            return None
        if saved is None:
            return None
        about, kind = saved.about, self._state.folder.name.partition("-")[0]
        place = f"{about['step']} of {about['total_steps']}, saved {about['saved']}"
        say(f"  the {kind} goes on after optimizer step {place}")
        self._state.put_back(saved)
        self._meter.add(about["costs"])
        return saved.path

    def _kept(self) -> dict[str, list[int]]:
        """Steps of the checkpoints that the training has left so far, by their folder's name."""
        folders = [path.parent for path in self._state.folder.glob(f"*/{MANIFEST}")]
        return {folder.name: [entry.step for entry in CheckpointStore(folder).entries] for folder in folders}

    def _check_kept(self, saved: SavedState) -> None:
        """Reads the checkpoints that were there with a state: the training may not look at them before its end."""
        for name, steps in saved.about["kept"].items():
            check_name(name, KEPT_NAME, self._state.root / STATE)
            folder = (saved.path.parent if name in self._state.replaced else self._state.folder) / name
            store = CheckpointStore(folder)
            store.verify()
            if not set(steps) <= {entry.step for entry in store.entries}:
                raise StoreError("Checkpoints of an interrupted training are missing", where=folder)
