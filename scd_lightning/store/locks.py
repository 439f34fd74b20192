"""Locks between processes, which the system frees when one dies: of what is made, and of a store as a whole."""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from scd_lightning.store.layout import LOCKS, unwritable
from scd_lightning.store.making import make_place
from scd_lightning.store.manifest import read_json, write_json
from scd_lightning.store.ownership import Kind, doubt
from scd_lightning.store.removal import delete


@contextmanager
def store_lock(root: Path) -> Iterator[None]:
    """Held, briefly, by a run that says what it uses and by whoever checks that and takes something away.

    Raises:
        StoreError: The store can't be written.
    """
    try:
        make_place(root / LOCKS)
        lock = FileLock(root / LOCKS / "store.lock")
        lock.acquire()
    except OSError as error:
        raise unwritable(root, error) from error
    try:
        yield
    finally:
        lock.release()


def try_lock(path: Path, seconds: float = 0) -> FileLock | None:
    """The lock, for the caller to release; None where it is not free in time.

    A file that `sweep` has deleted since it was opened here is the lock of nothing: `FileLock` looks whether its own is
    still there once it holds it, and begins anew.

    Args:
        path: The lock's file, in a folder that is there.
        seconds: How long to wait; -1 for as long as it takes.

    Raises:
        OSError: It can't be told whether somebody holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return None
    return lock


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock, or might."""
    if not path.exists():
        return False
    try:
        lock = try_lock(path)
    except OSError:
        return True
    if lock is not None:
        lock.release()
    return lock is None


def sweep(paths: Iterable[Path], kind: Kind, root: Path) -> None:
    """Deletes the files of locks that nobody holds, and the notes beside them; others' stay.

    Each goes while it is held here, so that nobody holds one that is there no more.

    Args:
        paths: The files.
        kind: What they are.
        root: The store.

    Raises:
        OSError: One can't be deleted.
    """
    for path in paths:
        if doubt(path, kind, root) is not None:
            continue
        lock = None
        with suppress(OSError):  # It may be another user's.
            lock = try_lock(path)
        if lock is None:
            continue
        try:
            for each in (path.with_suffix(".json"), path):
                delete(each, kind, root)
        finally:
            lock.release()


def note_holder(path: Path, run: str) -> None:
    """Writes down beside a lock's file that this process of a run holds it.

    Raises:
        StoreError: The store can't be written.
    """
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    about = {"run": run, "host": socket.gethostname(), "pid": os.getpid(), "since": now}
    write_json(path.with_suffix(".json"), about)


def holder(path: Path) -> str:
    """Who holds a lock, as far as is known."""
    try:
        about = read_json(path.with_suffix(".json"))
        return f"{about['run']} (process {about['pid']} on {about['host']}, since {about['since']})"
    except Exception:  # The note is for people only: a lock without it is still a lock.
        return "another run"
