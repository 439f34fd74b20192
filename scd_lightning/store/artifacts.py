"""The store of finished work: a folder for each artifact, named by the digest of all that its numbers depend on."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from scd_lightning import distributed
from scd_lightning.errors import ScdError, StoreError
from scd_lightning.progress import say
from scd_lightning.redaction.cleaning import clean
from scd_lightning.store.integrity import read_manifest, write_manifest
from scd_lightning.store.layout import (
    ARTIFACT,
    IN_ARTIFACT,
    KINDS,
    MANIFEST,
    PARTIAL,
    PINNED,
    RESUMED,
    SCRATCH_FILE,
    lock_path,
    unwritable,
)
from scd_lightning.store.locks import holder, note_holder, try_lock
from scd_lightning.store.making import make_folder, make_place
from scd_lightning.store.manifest import sha256_json
from scd_lightning.store.registry import Registration
from scd_lightning.store.removal import delete
from scd_lightning.store.saved_state import RESUME

# Seconds after which processes that wait for a lock hear of one another.
_ROUND = 5


@dataclass(frozen=True)
class Outcome:
    """What a phase has found while it filled an artifact's folder.

    Attributes:
        result: What others need to know of it: an object of the class that its key names, of JSON values.
        costs: What making it took, JSON values.
    """

    result: Any
    costs: Mapping[str, Any]


@dataclass(frozen=True)
class ArtifactKey:
    """What an artifact is, before it exists.

    Attributes:
        kind: "model", "tokenizer", "gold", "teacher", "healed", "anchor", "answers", "student", "evaluation" or
            "confidence".
        fields: Everything that its numbers depend on, and nothing else: no paths, loggers, devices, world size.
        result: Class of what its phase finds, a dataclass or `dict`; called with the names and values that are stored.
    """

    kind: str
    fields: Mapping[str, Any]
    result: Callable[..., Any] = dict

    def __post_init__(self) -> None:
        # One of another name would be made, and never found again to be removed.
        assert self.kind in KINDS

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
        result: What its phase has found, an object of the class that the key names.
        costs: What making it took.
        reused: Whether it was there before this run.
    """

    key: ArtifactKey
    folder: Path
    result: Any
    costs: Mapping[str, Any]
    reused: bool


class ArtifactStore:
    """Finds artifacts and has them made, once, however many runs want them at the same time.

    An artifact is made in a folder beside its final one and renamed when it is whole; its manifest is written last. An
    interrupted phase's folder stays if it holds a state that the phase can go on from.

    Args:
        root: The store's folder.
        run: Name of this run, which others that wait are told.
        locking: Whether to lock; off in processes whose parent holds the locks.
        granted: What such a parent has locked for them, and nothing else may be made; None without one.

    Attributes:
        made: Folders of the artifacts that this run made, itself or by its processes.
        registration: This run's entry in the store; None in processes for which another one registers.
    """

    def __init__(self, root: Path, run: str, *, locking: bool = True, granted: Collection[str] | None = None) -> None:
        self.root, self.run, self.locking, self.granted = Path(root), run, locking, granted
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
        result, costs = key.result(**manifest["result"]), manifest["costs"]
        return Artifact(key, folder, result, costs, reused=key.folder not in self.made)

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
        lock = self.acquire(key) if self.locking else None
        try:
            if self.find(key, whole=True) is None:
                delete(self.root / key.folder / MANIFEST, IN_ARTIFACT, self.root)
        except OSError as error:
            raise unwritable(self.root, error) from error
        finally:
            if lock is not None:
                lock.release()

    def make(self, key: ArtifactKey, build: Callable[[Path], Outcome], *, whole: bool = False) -> Artifact:
        """Returns the artifact, building it where it is not there. All processes of a job call it together.

        Args:
            key: What is wanted.
            build: Fills a folder.
            whole: Read its large files before it is used again, as `find` does.
        """
        while True:
            with self.claim(key, whole=whole, seconds=_ROUND) as claimed:
                if isinstance(claimed, Artifact):
                    return claimed
                if claimed is not None:
                    return claimed.finish(claimed.fill(build))

    @contextmanager
    def claim(
        self, key: ArtifactKey, *, whole: bool = False, seconds: float = 0
    ) -> Iterator["Artifact | Claim | None"]:
        """Gives the artifact, or the right to make it for as long as the block runs, or None where another run does.

        All processes of a job call it together, and get the same.

        Args:
            key: What is wanted.
            whole: As in `make`.
            seconds: How long to wait for another run that makes it; above 0, it says for whom.
        """
        self.use([key])
        if (found := self._find_together(key, whole=whole)) is not None:
            yield found
            return
        self._require_grant(key)
        with self._lock_together(key, seconds) if self.locking else _unlocked() as free:
            if not free or (found := self._find_together(key, whole=whole)) is not None:
                yield found
                return
            claim = Claim(self, key, self.root / f"{key.folder}{PARTIAL}")
            yield claim if claim.begin() else claim.place()

    def _require_grant(self, key: ArtifactKey) -> None:
        """Ends a process that would make what its parent has not locked, and so expects to be there."""
        if self.granted is not None and key.folder not in self.granted:
            raise StoreError(
                f"The {key.kind} was in the store when this job began, and is not there any more",
                where=self.root / key.folder,
                remedy="see that nothing else changes the store, and start the job again",
            )

    def _find_together(self, key: ArtifactKey, *, whole: bool = False) -> Artifact | None:
        """What process 0 finds: one reads the files, and all go on alike."""
        return distributed.from_first_rank(self.find(key, whole=whole) if distributed.rank() == 0 else None)

    @contextmanager
    def _lock_together(self, key: ArtifactKey, seconds: float) -> Iterator[bool]:
        """The lock of an artifact for all processes of a job: process 0 holds it. Gives whether it was free in time.

        The others wait for no longer than that, so that no collective operation runs into its time-out.
        """
        lock = self.acquire(key, seconds) if distributed.rank() == 0 else None
        try:
            yield distributed.from_first_rank(lock is not None)
        finally:
            if lock is not None:
                lock.release()

    def acquire(self, key: ArtifactKey, seconds: float = -1) -> FileLock | None:
        """Takes the right to make an artifact; says once for whom it waits. The system frees it when a process dies.

        Args:
            key: What is to be made.
            seconds: How long to wait; -1 for as long as it takes.

        Returns:
            The lock, for the caller to release; None where another run makes the artifact, and goes on with it.
        """
        path = lock_path(self.root, key.folder)
        try:
            make_place(path.parent)
        except OSError as error:
            raise unwritable(self.root, error) from error
        lock = try_lock(path)
        if lock is None and seconds:
            self._tell(f"Waiting for {holder(path)}, which makes the same {key.kind} ({key.folder})")
            lock = try_lock(path, seconds)
        if lock is not None:
            note_holder(path, self.run)
        return lock


@dataclass(frozen=True)
class Claim:
    """The right to make an artifact; all processes of a job have it together.

    Attributes:
        store: The store.
        key: What is to be made.
        folder: Where its files go.
    """

    store: ArtifactStore
    key: ArtifactKey
    folder: Path

    def begin(self) -> bool:
        """Makes the folder ready; whether there is something to do: a run may have been killed just before its end."""
        if distributed.rank() == 0:
            _prepare(self.folder, self.store.root / self.key.folder, self.store.root)
        distributed.barrier()
        return not distributed.from_first_rank((self.folder / MANIFEST).is_file())

    def fill(self, build: Callable[[Path], Outcome]) -> Outcome:
        """Has the folder filled; nothing stays of what is refused, but for what an interrupted run left there."""
        try:
            return build(self.folder)
        except ScdError:
            if distributed.rank() == 0 and not any((self.folder / name).exists() for name in (RESUME, PINNED)):
                with suppress(OSError, StoreError):
                    delete(self.folder, ARTIFACT, self.store.root)
            raise

    def finish(self, outcome: Outcome) -> Artifact:
        """Seals what was made, and puts it in its place."""
        distributed.barrier()
        if distributed.rank() == 0:
            result = outcome.result if isinstance(outcome.result, dict) else vars(outcome.result)
            # The key is there for people to read: the folder's name is the digest of what it says before it is cleaned.
            key = clean(dict(self.key.fields))
            content = {"kind": self.key.kind, "key": key, "result": result, "costs": outcome.costs}
            write_manifest(self.folder, content)
        return self.place()

    def place(self) -> Artifact:
        """Puts a sealed artifact in its place."""
        if distributed.rank() == 0:
            # Not before the manifest is there: a run killed in between would start the phase over.
            with suppress(OSError, StoreError):
                delete(self.folder / RESUME, RESUMED, self.store.root)
            self.folder.rename(self.store.root / self.key.folder)
        distributed.barrier()
        self.store.made.add(self.key.folder)
        made = self.store._find_together(self.key)
        assert made is not None
        return made


def _prepare(partial: Path, folder: Path, root: Path) -> None:
    """Makes an empty folder, unless what an interrupted run left in it is worth something; a damaged artifact goes."""
    pinned = any((each / PINNED).exists() for each in (partial, folder))
    delete(folder, ARTIFACT, root)
    try:
        read_manifest(partial, whole=True)
    except StoreError:
        delete(partial / MANIFEST, IN_ARTIFACT, root)
        if not (partial / RESUME).is_dir():
            delete(partial, ARTIFACT, root)
    make_folder(partial, ARTIFACT, root, folder.name)
    for file in partial.rglob(".*.tmp"):  # A kill in the middle of a write.
        delete(file, SCRATCH_FILE, root)
    if pinned:
        (partial / PINNED).touch()


@contextmanager
def _unlocked() -> Iterator[bool]:
    yield True
