"""Whether an artifact's files are what they were when it was finished; its manifest, written last, lists them."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scd_lightning.errors import StoreError
from scd_lightning.store.checkpoints import FROZEN
from scd_lightning.store.layout import CHECKPOINT_NAME, FILES_MANIFEST, MANIFEST, PINNED, check_name
from scd_lightning.store.manifest import check_digest, known_digest, read_sealed, write_sealed
from scd_lightning.store.ownership import MARK, SCRATCH
from scd_lightning.store.saved_state import RESUME

# Files up to this size are read whenever their artifact is looked up; larger ones before they are used.
SMALL = 1 << 25
# Paths from the artifact's folder that stay in it.
_WITHIN = re.compile(r"(?!\.\.?(/|$))[^/\0]+(/(?!\.\.?(/|$))[^/\0]+)*")
_KEYS = {"kind", "key", "result", "costs", "files"}


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Finishes an artifact: writes its manifest, with size and digest of each of its files.

    Args:
        folder: The artifact's folder.
        content: Its kind, key, result and costs.

    Raises:
        StoreError: A file of checkpoints is damaged already, or the disk is full.
    """
    paths = list(_files(folder))
    manifests = (path for path in paths if path.name == FILES_MANIFEST)
    stored = {path: digest for manifest in manifests for path, digest in _of_checkpoints(manifest)}
    files = {}
    for path in paths:
        if path in stored:
            check_digest(path, stored[path])
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": known_digest(path)}
    write_sealed(folder / MANIFEST, {**content, "files": files})


def read_manifest(folder: Path, *, whole: bool) -> dict[str, Any]:
    """An artifact's manifest, where its files are as it says.

    Args:
        folder: The artifact's folder.
        whole: Read large files too; without, only their sizes are looked at. What this process has read before it does
            not read again.

    Raises:
        StoreError: The manifest or a file is missing or damaged; its `where` is the file.
    """
    manifest = read_sealed(folder / MANIFEST)
    if manifest.keys() != _KEYS:
        raise StoreError("A manifest has another format than expected", where=folder / MANIFEST)
    files = {folder / _name(name, folder): about for name, about in manifest["files"].items()}
    for path, about in files.items():
        _check_size(path, about["bytes"])
    read = [path for path, about in files.items() if whole or about["bytes"] <= SMALL]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda path: check_digest(path, files[path]["sha256"]), read))
    return manifest


def _name(name: str, folder: Path) -> str:
    return check_name(name, _WITHIN, folder / MANIFEST)


def _check_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StoreError("A file of the store is missing", where=path, got=error.strerror) from error
    if size != expected:
        raise StoreError("A file of the store has another size", where=path, got=size, expected=expected)


def _files(folder: Path) -> Iterator[Path]:
    """What belongs to an artifact: no state of an interrupted training, no file that a killed process left behind."""
    for path in sorted(folder.rglob("*")):
        top = path.relative_to(folder).parts[0]
        if path.is_file() and top not in (MANIFEST, PINNED, RESUME, MARK) and not re.fullmatch(SCRATCH, path.name):
            yield path


def _of_checkpoints(manifest: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder of checkpoints with the digests that they were written with."""
    content = read_sealed(manifest)
    if content.get("frozen") is not None:
        yield manifest.parent / FROZEN, content["frozen"]
    for entry in content["entries"]:
        yield manifest.parent / check_name(entry["file"], CHECKPOINT_NAME, manifest), entry["sha256"]
