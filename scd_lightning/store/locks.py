"""Locks between runs, which the system frees when a process dies, and who holds them, for the people who wait."""

import os
import socket
import time
from pathlib import Path

from filelock import FileLock, Timeout

from scd_lightning.store.manifest import read_json, write_json


def try_lock(path: Path, seconds: float) -> FileLock | None:
    """The lock, for the caller to release; None where it is not free in time.

    Args:
        path: The lock's file, in a folder that is there.
        seconds: How long to wait; -1 for as long as it takes.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return None
    return lock


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
