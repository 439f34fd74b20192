"""Where things are in a store."""

import os
import re
from errno import EACCES, ENOTDIR
from pathlib import Path

from scd_lightning.errors import StoreError
from scd_lightning.store.ownership import SCRATCH, Kind

MANIFEST = "artifact.json"
PARTIAL = ".partial"
PINNED = "pinned"
LOCKS, RUNS, SIGNALS, REMOVED = "locks", "runs", "signals", "removed"
# A teacher's checkpoints within its folder, and the manifest of those; signals have a manifest of this name too.
TRAJECTORY, FILES_MANIFEST = "trajectory", "manifest.json"

KINDS = ("model", "tokenizer", "gold", "teacher", "healed", "anchor", "answers", "student", "evaluation", "confidence")
ARTIFACT_NAME = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{24}}")
SIGNALS_NAME = re.compile(r"signals-[0-9a-f]{24}")
CHECKPOINT_NAME = re.compile(r"checkpoint-\d+\.safetensors")
KEPT_NAME = re.compile(r"trajectory|weights")
HEAD_NAME = re.compile(r"head-[0-9a-f]{24}\.safetensors")
STATE_NAME = re.compile(r"step-\d+-[0-9a-f]{8}")

# What is deleted in a store, by the names that we give it: nothing that is named otherwise ever is.
_CHECKPOINTS = rf"(manifest\.json|frozen\.safetensors|{CHECKPOINT_NAME.pattern})?"
_STATE = rf"{STATE_NAME.pattern}/((state\.ckpt)?|weights/{_CHECKPOINTS})"
_RESUME = rf"(state\.json|predictions-[a-z]+-\d+\.jsonl|validation-[0-9a-f]{{24}}\.json|{_STATE})?"
# A transformers folder's; converted ones are written by its own functions.
_TOKENIZER = (
    r"(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|merges\.txt|chat_template\.jinja"
)
_MODEL = rf"({_TOKENIZER}|(generation_)?config\.json|model(-\d{{5}}-of-\d{{5}})?\.safetensors(\.index\.json)?)?"
_IN_ARTIFACT = rf"(trajectory|weights(\.new)?)/{_CHECKPOINTS}|resume/{_RESUME}|model/{_MODEL}|{PINNED}"
_IN_ARTIFACT += rf"|artifact\.json|(predictions|answers|validation)\.jsonl|(validation|train)_losses\.npy|{_TOKENIZER}"
_IN_SIGNALS = rf"(hidden|losses)\.npy(\.part)?|manifest\.json|{PINNED}"
ARTIFACT = Kind(rf"{ARTIFACT_NAME.pattern}({re.escape(PARTIAL)})?", _IN_ARTIFACT, marked=True)
STORED_SIGNALS = Kind(SIGNALS_NAME.pattern, _IN_SIGNALS, marked=True)
TAKEN_OUT = Kind(
    rf"({ARTIFACT_NAME.pattern}|{SIGNALS_NAME.pattern})-[0-9a-f]{{8}}",
    rf"{_IN_ARTIFACT}|{_IN_SIGNALS}",
    marked=True,
)
HEAD = Kind(HEAD_NAME.pattern)
LOCK = Kind(rf"({ARTIFACT_NAME.pattern}|{SIGNALS_NAME.pattern})\.(lock|json)")
RECORD = Kind(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{6}\.(lock|json)")
# Within an artifact that is being made.
WEIGHTS = Kind(r"weights(\.new)?", _CHECKPOINTS)
CHECKPOINT = Kind(CHECKPOINT_NAME.pattern)
RESUMED = Kind("resume", _RESUME)
STATE = Kind(STATE_NAME.pattern, rf"(state\.ckpt)?|weights/{_CHECKPOINTS}")
IN_ARTIFACT = Kind(rf"{re.escape(MANIFEST)}|{PINNED}")
IN_SIGNALS = Kind(_IN_SIGNALS)
SCRATCH_FILE = Kind(SCRATCH)


def check_name(name: object, pattern: re.Pattern[str], where: Path) -> str:
    """A name that stands in a file, before it is joined to a path.

    Raises:
        StoreError: It is none of those that are written there.
    """
    if isinstance(name, str) and pattern.fullmatch(name):
        return name
    raise StoreError(
        "A manifest names a file that is none of its own",
        where=where,
        got=repr(name),
        expected=f"a name such as {pattern.pattern}",
        remedy="delete its folder, so that it is made anew",
    )


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
