"""What an unfinished training goes on from after an interruption: one saved state, whole or not there."""

import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scd_lightning.errors import StoreError
from scd_lightning.store.layout import ARTIFACT, PARTIAL, STATE_NAME, WEIGHTS, check_name
from scd_lightning.store.layout import STATE as STATE_FOLDER
from scd_lightning.store.making import make_folder
from scd_lightning.store.manifest import fsync, read_sealed, sha256_file, write_sealed
from scd_lightning.store.removal import delete

# Within the folder of the artifact that is being made.
RESUME, STATE = "resume", "state.json"
_CONTENT = "state.ckpt"


@dataclass(frozen=True)
class SavedState:
    """A state that was saved.

    Attributes:
        path: Its file, for Lightning.
        about: What was said of it: step, total_steps, epoch, saved, and whatever the training added.
    """

    path: Path
    about: Mapping[str, Any]


class ResumeState:
    """The state of one training, beside what it has made so far.

    A save makes a folder of its own and is named in state.json when it is whole, so at any time one state is there, the
    old or the new one. Only one process writes.

    Args:
        folder: The artifact that is being made.
        replaced: Folders in it that the training replaces as it goes on, such as the best weights so far: each state
            keeps them as they were, by hard links where the disk knows them.
        versions: Of what a state depends on; a state of others is not used.
    """

    def __init__(self, folder: Path, replaced: Sequence[str] = (), versions: Mapping[str, str] | None = None) -> None:
        self.folder, self.replaced, self.versions = folder, replaced, dict(versions or {})
        self.root = folder / RESUME

    def find(self) -> SavedState | None:
        """The state, if there is one.

        Raises:
            StoreError: It is damaged or of other versions.
        """
        if not (self.root / STATE).is_file():
            return None
        about = read_sealed(self.root / STATE)
        try:
            folder, digest = check_name(about["folder"], STATE_NAME, self.root / STATE), about["sha256"]
            path = self.root / folder / _CONTENT
            same = about["versions"] == self.versions
        except (KeyError, TypeError) as error:
            raise StoreError("A saved state has another format than expected", where=self.root / STATE) from error
        if not same:
            raise StoreError("A saved state is of other versions", got=about["versions"], expected=self.versions)
        if not path.is_file() or sha256_file(path) != digest:
            raise StoreError("A saved state is damaged", where=path)
        return SavedState(path, about)

    def put_back(self, saved: SavedState) -> None:
        """Brings the replaced folders to what they were when the state was saved."""
        for name in self.replaced:
            kept = saved.path.parent / name
            delete(self.folder / name, WEIGHTS, self.folder)
            if kept.is_dir():
                _link(kept, self.folder / name)

    def begin(self, step: int) -> Path:
        """Makes room for a new state and returns where its file has to be written.

        What a killed save has left goes first: on a disk that is nearly full it would stand in the way.

        Raises:
            OSError: The folder can't be made.
        """
        self.tidy()
        folder = self.root / f"step-{step}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder / _CONTENT

    def commit(self, path: Path, about: Mapping[str, Any]) -> None:
        """Makes a state whose file was written the one to go on from, and removes all others.

        Args:
            path: The file, as `begin` named it.
            about: What is said of it, JSON values.

        Raises:
            StoreError: The disk is full.
            OSError: Likewise. In either case the state before stays.
        """
        for name in self.replaced:
            if (self.folder / name).is_dir():
                _link(self.folder / name, path.parent / name)
                fsync(path.parent / name)
        # All that state.json names is on the disk before it: after a crash of the machine it names nothing half there.
        fsync(path)
        fsync(path.parent)
        content = {**about, "saved": time.strftime("%Y-%m-%d %H:%M:%S"), "versions": self.versions}
        write_sealed(self.root / STATE, content | {"folder": path.parent.name, "sha256": sha256_file(path)})
        self.tidy()

    def tidy(self) -> None:
        """Removes all states but the one to go on from; none as long as that can't be told."""
        current = None
        if (self.root / STATE).is_file():
            try:
                current = read_sealed(self.root / STATE)["folder"]
            except (StoreError, KeyError):
                return
        for folder in self.root.glob("step-*"):
            if folder.name != current:
                with suppress(OSError, StoreError):
                    delete(folder, STATE_FOLDER, self.folder)

    def give_up(self) -> None:
        """Removes whatever was saved, and what the training had made.

        Raises:
            StoreError: There is something else, too.
            OSError: It can't be removed.
        """
        delete(self.folder, ARTIFACT, self.folder.parent)
        make_folder(self.folder, ARTIFACT, self.folder.parent, self.folder.name.removesuffix(PARTIAL))


def _link(source: Path, target: Path) -> None:
    """A copy of a folder whose files are never changed in place, without a second set of their bytes."""

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:  # A disk without hard links, or another one.
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=link)
