"""The store of finished work: a folder for each artifact, named by the digest of all that its numbers depend on."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from scd_lightning import distributed
from scd_lightning.checkpoints.manifest import TEMPORARY, read_json, sha256_json, write_json
from scd_lightning.checkpoints.resume_state import RESUME
from scd_lightning.errors import StoreError
from scd_lightning.progress import say
from scd_lightning.store.integrity import read_manifest, write_manifest
from scd_lightning.store.layout import MANIFEST, PARTIAL, PINNED, lock_path, unwritable
from scd_lightning.store.registry import Registration

# Seconds after which processes that wait for a lock hear of one another.
_ROUND = 5
Build = Callable[[Path], tuple[Mapping[str, Any], Mapping[str, Any]]]


@dataclass(frozen=True)
class ArtifactKey:
    """What an artifact is, before it exists.

    Attributes:
        kind: "model", "tokenizer", "teacher", "anchor", "student" or "evaluation".
        fields: Everything that its numbers depend on, and nothing else: no paths, loggers, devices, world size.
    """

    kind: str
    fields: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Hex digest of the fields."""
        return sha256_json({"kind": self.kind, **self.fields})[:24]

    @property
    def folder(self) -> str:
        """Name of the artifact's folder in the store."""
        return f"{self.kind}-{self.digest}"


@dataclass(frozen=True)
class Artifact:
    """A finished artifact.

    Attributes:
        key: What it is.
        folder: Where its files are.
        result: What its stage returned.
        costs: What making it took.
        reused: Whether it was there before this run.
    """

    key: ArtifactKey
    folder: Path
    result: Mapping[str, Any]
    costs: Mapping[str, Any]
    reused: bool


class ArtifactStore:
    """Finds artifacts and has them made, once, however many runs want them at the same time.

    An artifact is made in a folder beside its final one and renamed when it is whole; its manifest is written last. An
    interrupted stage's folder stays if it holds a state that the stage can go on from.

    Args:
        root: The store's folder.
        run: Name of this run, which others that wait are told.
        locking: Whether to lock; off in processes whose parent holds the locks.

    Attributes:
        made: Folders of the artifacts that this run made, itself or by its processes.
        registration: This run's entry in the store; None in processes for which another one registers.
    """

    def __init__(self, root: Path, run: str, *, locking: bool = True) -> None:
        self.root, self.run, self.locking = Path(root), run, locking
        self.made: set[str] = set()
        self._told: set[str] = set()
        self.registration: Registration | None = None

    def use(self, keys: Iterable[ArtifactKey]) -> None:
        """Says that this run uses these artifacts from now on, so that nobody removes them.

        Raises:
            StoreError: The store can't be written.
        """
        if self.registration is not None:
            self.registration.add(key.folder for key in keys)

    def find(self, key: ArtifactKey, *, whole: bool = False) -> Artifact | None:
        """The artifact, if it is finished and, as far as one looks, undamaged; says so once where it is damaged.

        Args:
            key: What is wanted.
            whole: Read its large files too.
        """
        folder = self.root / key.folder
        if not (folder / MANIFEST).exists():
            return None
        try:
            manifest = read_manifest(folder, whole=whole)
        except StoreError as error:
            self._tell(f"  the store's {key.folder} is damaged and counts as missing: {error.what} ({error.where})")
            return None
        return Artifact(key, folder, manifest["result"], manifest["costs"], reused=key.folder not in self.made)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            say(message)

    def check(self, key: ArtifactKey) -> None:
        """Reads an artifact's files whole; a damaged one is not there any more, for any process.

        Raises:
            StoreError: The store can't be written.
        """
        if not (self.root / key.folder).is_dir() or self.find(key, whole=True) is not None:
            return
        with self.lock(key) if self.locking else _unlocked():
            if self.find(key, whole=True) is None:
                try:
                    (self.root / key.folder / MANIFEST).unlink(missing_ok=True)
                except OSError as error:
                    raise unwritable(self.root, error) from error

    def make(self, key: ArtifactKey, build: Build, *, whole: bool = False) -> Artifact:
        """Returns the artifact, building it where it is not there. All processes of a job call it together.

        Args:
            key: What is wanted.
            build: Fills a folder and returns (result, costs), both JSON values.
            whole: Read its large files before it is used again, as `find` does.
        """
        while (made := self.try_make(key, build, whole=whole, seconds=_ROUND)) is None:
            pass
        return made

    def try_make(self, key: ArtifactKey, build: Build, *, whole: bool = False, seconds: float = 0) -> Artifact | None:
        """Like `make`, but None where another run makes the artifact and does not finish within this time.

        Args:
            key: As in `make`.
            build: Likewise.
            whole: Likewise.
            seconds: How long to wait; above 0, it says for whom.
        """
        self.use([key])
        if (found := self._find_together(key, whole=whole)) is not None:
            return found
        with self._lock_together(key, seconds) if self.locking else _unlocked() as free:
            if not free or (found := self._find_together(key, whole=whole)) is not None:
                return found
            return self._build(key, build)

    def _find_together(self, key: ArtifactKey, *, whole: bool = False) -> Artifact | None:
        """What process 0 finds: one reads the files, and all go on alike."""
        return distributed.from_first_rank(self.find(key, whole=whole) if distributed.rank() == 0 else None)

    def _build(self, key: ArtifactKey, build: Build) -> Artifact:
        partial = self.root / f"{key.folder}{PARTIAL}"
        if distributed.rank() == 0:
            _prepare(partial, self.root / key.folder)
        distributed.barrier()
        if not distributed.from_first_rank((partial / MANIFEST).is_file()):
            result, costs = build(partial)
            distributed.barrier()
            if distributed.rank() == 0:
                manifest = {"kind": key.kind, "key": dict(key.fields), "result": result, "costs": costs}
                write_manifest(partial, manifest)
        if distributed.rank() == 0:
            # Not before the manifest is there: a run killed in between would start the stage over.
            shutil.rmtree(partial / RESUME, ignore_errors=True)
            partial.rename(self.root / key.folder)
        distributed.barrier()
        self.made.add(key.folder)
        made = self._find_together(key)
        assert made is not None
        return made

    @contextmanager
    def lock(self, key: ArtifactKey) -> Iterator[None]:
        """Holds the right to make an artifact; says for whom it waits. The system frees it when a process dies."""
        lock = self.acquire(key)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _lock_together(self, key: ArtifactKey, seconds: float) -> Iterator[bool]:
        """Like `lock`, for all processes of a job: process 0 holds it. Gives whether it was free within this time.

        The others wait for no longer than that, so that no collective operation runs into its time-out.
        """
        lock = self._wait_for(key, seconds) if distributed.rank() == 0 else None
        try:
            yield distributed.from_first_rank(lock is not None)
        finally:
            if lock is not None:
                lock.release()

    def acquire(self, key: ArtifactKey) -> FileLock:
        """Like `lock`, for callers that release it themselves."""
        lock = self._wait_for(key, -1)
        assert lock is not None
        return lock

    def _wait_for(self, key: ArtifactKey, seconds: float) -> FileLock | None:
        """The lock, or None if it is not free within this time; says once for whom one waits, if one does."""
        lock = self.try_acquire(key)
        if lock is None and seconds:
            owner = _owner(_note(lock_path(self.root, key.folder)))
            self._tell(f"Waiting for {owner}, which makes the same {key.kind} ({key.folder})")
            lock = self.try_acquire(key, seconds)
        return lock

    def try_acquire(self, key: ArtifactKey, seconds: float = 0) -> FileLock | None:
        """Like `acquire`, but does not wait for long: None where another run makes the artifact.

        Args:
            key: What is to be made.
            seconds: How long to wait; -1 for as long as it takes.
        """
        path = lock_path(self.root, key.folder)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.root, error) from error
        lock = FileLock(path)
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            return None
        self._sign(path)
        return lock

    def _sign(self, path: Path) -> None:
        """Says beside a lock who holds it."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        write_json(_note(path), {"run": self.run, "host": socket.gethostname(), "pid": os.getpid(), "since": now})


def _prepare(partial: Path, folder: Path) -> None:
    """Makes an empty folder, unless what an interrupted run left in it is worth something; a damaged artifact goes."""
    pinned = any((each / PINNED).exists() for each in (partial, folder))
    if folder.exists():
        shutil.rmtree(folder)
    try:
        read_manifest(partial, whole=True)
    except StoreError:
        (partial / MANIFEST).unlink(missing_ok=True)
        if not (partial / RESUME).is_dir():
            shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    for file in partial.rglob(TEMPORARY):  # A kill in the middle of a write.
        file.unlink()
    if pinned:
        (partial / PINNED).touch()


@contextmanager
def _unlocked() -> Iterator[bool]:
    yield True


def _note(lock: Path) -> Path:
    return lock.with_suffix(".json")


def _owner(path: Path) -> str:
    try:
        owner = read_json(path)
        return f"{owner['run']} (process {owner['pid']} on {owner['host']}, since {owner['since']})"
    except Exception:  # The file is for people only: a lock without it is still a lock.
        return "another run"
