"""Where things are in a store, and its one lock that all changes of what is used or removed take."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from scd_lightning.errors import StoreError

MANIFEST = "artifact.json"
PARTIAL = ".partial"
PINNED = "pinned"
LOCKS, RUNS, SIGNALS, REMOVED = "locks", "runs", "signals", "removed"
# A teacher's checkpoints within its folder, and the manifest of those; signals have a manifest of this name too.
TRAJECTORY, FILES_MANIFEST = "trajectory", "manifest.json"

KINDS = ("model", "tokenizer", "teacher", "anchor", "student", "evaluation")
# Nothing that is named otherwise is ever removed: a store may be any folder that the user names.
ARTIFACT_NAME = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{24}}")
SIGNALS_NAME = re.compile(r"signals-[0-9a-f]{24}")


def lock_path(root: Path, name: str) -> Path:
    """The lock of whoever makes an artifact or signals."""
    return root / SIGNALS / f"{name}.lock" if SIGNALS_NAME.fullmatch(name) else root / LOCKS / f"{name}.lock"


@contextmanager
def store_lock(root: Path) -> Iterator[None]:
    """Held, briefly, by a run that says what it uses and by whoever checks that and takes something away.

    Raises:
        StoreError: The store can't be written.
    """
    try:
        (root / LOCKS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / LOCKS / "store.lock")
        lock.acquire()
    except OSError as error:
        raise unwritable(root, error) from error
    try:
        yield
    finally:
        lock.release()


def try_lock(path: Path) -> FileLock | None:
    """The lock, or None where somebody holds it, or where it can't be told."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return None
    return lock


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock; the system frees it when the process dies."""
    if not path.exists():
        return False
    lock = try_lock(path)
    if lock is not None:
        lock.release()
    return lock is None


def unwritable(root: Path, error: OSError) -> StoreError:
    """The message for a store without write access or room."""
    return StoreError(
        "The store can't be written",
        where=f"paths.store: {root}",
        got=error.strerror or error,
        expected="a folder that this user may write to",
        remedy="choose another one with paths.store= or the environment variable SCD_STORE",
    )
