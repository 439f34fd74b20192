"""Whose a sweep's folder is: what an earlier sweep left there goes with the first job that has something to write."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.run_folder.lock import is_live
from scd_lightning.run_folder.names import ATTEMPT, BEST, FOUND, RUN, SWEEP
from scd_lightning.run_folder.noted_files import remove
from scd_lightning.run_folder.record import read_record
from scd_lightning.run_folder.removable import BEST_FOLDER, LOCK_FILE, SWEEP_FILE
from scd_lightning.store.locks import try_lock
from scd_lightning.store.making import claim
from scd_lightning.store.manifest import read_json, write_json, write_text
from scd_lightning.store.removal import delete


@dataclass(frozen=True)
class Sweep:
    """A sweep, as all of its jobs know it.

    Attributes:
        folder: Its folder.
        identity: Digest of what it runs.
        command: Its command line.
        texts: Name -> text of what stands in its folder from when that is its own.
        start: What tells this start of it from others of the same sweep.
        job: Number of the running job.
    """

    folder: Path
    identity: str
    command: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    start: str = field(default_factory=lambda: secrets.token_hex(8))
    job: int = 0

    @property
    def mark(self) -> dict[str, Any]:
        """What a job's run.json says of it."""
        return {"sweep": self.identity, "job": [self.start, self.job]}

    def check(self, job: object, path: Path) -> None:
        """Raises a ConfigError where a folder is that of another job of the same start.

        Args:
            job: The mark of the job that had the folder before.
            path: The folder.
        """
        if isinstance(job, list) and job[:1] == [self.start] and job != [self.start, self.job]:
            raise ConfigError(
                f"Jobs {job[1]} and {self.job} of this sweep have one folder, and it has the first one's results",
                where="hydra.sweep.subdir",
                got=path,
                remedy="leave it as it is, ${hydra.job.num}, or let it name what varies",
            )

    @property
    def owns(self) -> bool:
        """Whether the folder is this sweep's."""
        return swept_by(self.folder) == self.identity

    def take(self) -> None:
        """Makes the folder this sweep's, where it is another's: that one's comparison and its jobs' files go.

        Raises:
            ConfigError: It holds something else where a sweep writes.
            StoreError: The folder can't be written.
        """
        lock = try_lock(self.folder / ".sweep.lock", -1)
        try:
            before = swept_by(self.folder)
            if before == self.identity:
                return
            claim(self.folder, {**dict.fromkeys(FOUND, SWEEP_FILE), BEST: BEST_FOLDER}, "hydra.sweep.dir")
            if before is not None:
                delete(self.folder / BEST, BEST_FOLDER, self.folder)
                for name in FOUND[1:]:
                    delete(self.folder / name, SWEEP_FILE, self.folder)
                self._clear(before)
            write_json(self.folder / SWEEP, {"command": self.command, "identity": self.identity})
            for name, text in self.texts.items():
                write_text(self.folder / name, text)
        finally:
            if lock is not None:
                with suppress(OSError, StoreError):
                    delete(Path(lock.lock_file), LOCK_FILE, self.folder)
                lock.release()

    def _clear(self, before: str) -> None:
        """Takes away what the jobs of the sweep before noted as their own, but for those that run."""
        for path in self.folder.iterdir():
            record = read_record(path) if path.is_dir() and not path.is_symlink() else None
            if record is not None and record.sweep == before and not is_live(path):
                with suppress(StoreError):  # Somebody else's things have taken the place of some.
                    remove(path, record.files())


def swept_by(folder: Path) -> str | None:
    """The identity of the sweep that a folder is of; None where there is none on record."""
    identity: str | None = _read(folder / SWEEP).get("identity")
    return identity


def is_of(folder: Path, sweep: str | None) -> bool:
    """Whether a folder is that of a job of a sweep; any that is on record as none of another's, too."""
    marks = [each["sweep"] for name in (RUN, ATTEMPT) if (each := _read(folder / name)).get("sweep") is not None]
    return sweep is None or not marks or sweep in marks


def failed_attempt(folder: Path) -> dict[str, Any]:
    """A job's attempt beside what an earlier run left, where it was the last of the sweep that its folder lies in."""
    attempt = _read(folder / ATTEMPT)
    sweep = attempt.get("sweep")
    return attempt if sweep is not None and sweep == swept_by(folder.parent) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except StoreError:
        return {}
