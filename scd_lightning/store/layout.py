"""Where things are in a store."""

import os
import re
from errno import EACCES, ENOTDIR
from pathlib import Path

from scd_lightning.errors import StoreError

MANIFEST = "artifact.json"
PARTIAL = ".partial"
PINNED = "pinned"
LOCKS, RUNS, SIGNALS, REMOVED = "locks", "runs", "signals", "removed"
# A teacher's checkpoints within its folder, and the manifest of those; signals have a manifest of this name too.
TRAJECTORY, FILES_MANIFEST = "trajectory", "manifest.json"

KINDS = ("model", "tokenizer", "gold", "teacher", "anchor", "answers", "student", "evaluation")
# Nothing that is named otherwise is ever removed: a store may be any folder that the user names.
ARTIFACT_NAME = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{24}}")
SIGNALS_NAME = re.compile(r"signals-[0-9a-f]{24}")


def lock_path(root: Path, name: str) -> Path:
    """The lock of whoever makes an artifact or signals."""
    return root / SIGNALS / f"{name}.lock" if SIGNALS_NAME.fullmatch(name) else root / LOCKS / f"{name}.lock"


def check_place(root: Path) -> None:
    """Makes sure that a store is there or can be made, as far as that can be told without making it.

    Raises:
        StoreError: It can't.
    """
    folder = root.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise unwritable(root, NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR)))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(root, PermissionError(EACCES, os.strerror(EACCES)))


def unwritable(root: Path, error: OSError) -> StoreError:
    """The message for a store without write access or room."""
    return StoreError(
        "The store can't be written",
        where=f"paths.store: {root}",
        got=error.strerror or error,
        expected="a folder that this user may write to",
        remedy="choose another one with paths.store= or the environment variable SCD_STORE",
    )
