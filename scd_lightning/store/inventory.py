"""What lies in a store, read from names, manifests and the runs' records."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scd_lightning.config.invocation import program
from scd_lightning.errors import StoreError
from scd_lightning.store import layout
from scd_lightning.store.clock import plausible
from scd_lightning.store.disk import bytes_on_disk
from scd_lightning.store.manifest import read_json, sha256_json
from scd_lightning.store.ownership import Kind
from scd_lightning.store.registry import RunRecord, read_records


@dataclass(frozen=True)
class Entry:
    """Something in the store.

    Attributes:
        name: Name of its folder or file; of something half made, without its ending.
        kind: The artifact's kind, "signals", "head" (shared by signals), "partial" or "removed".
        path: Where it is.
        manifest: Its manifest; None where there is none or it can't be read.
        runs: The runs that used it, the oldest first.
        teachers: Of signals: names of the teachers in the store that they are of.
    """

    name: str
    kind: str
    path: Path
    manifest: Mapping[str, Any] | None = None
    runs: tuple[RunRecord, ...] = ()
    teachers: tuple[str, ...] = ()

    @cached_property
    def bytes(self) -> int:
        """Its size on the disk."""
        return bytes_on_disk(self.path)

    @cached_property
    def made(self) -> float:
        """When it was finished, as seconds since 1970."""
        manifest = self.path / (layout.FILES_MANIFEST if self.kind == "signals" else layout.MANIFEST)
        for path in (manifest, self.path):
            with suppress(OSError):
                return plausible(path.stat().st_mtime, path)
        return time.time()

    @cached_property
    def belongs(self) -> Kind:
        """What it is, for its removal."""
        if self.kind == "head":
            return layout.HEAD
        if self.kind == "removed":
            return layout.TAKEN_OUT
        return layout.STORED_SIGNALS if layout.SIGNALS_NAME.fullmatch(self.path.name) else layout.ARTIFACT

    @property
    def pinned(self) -> bool:
        """Whether the user wants it kept."""
        return (self.path / layout.PINNED).exists()

    @property
    def finished(self) -> bool:
        """Whether it is something that runs can use, damaged or not."""
        return self.kind not in ("partial", "removed", "head")


@dataclass(frozen=True)
class Inventory:
    """A store at one moment.

    Attributes:
        root: Its folder.
        entries: What lies there, by kind and age.
        records: The runs on record, the oldest first.
    """

    root: Path
    entries: tuple[Entry, ...]
    records: tuple[RunRecord, ...]

    @property
    def finished(self) -> list[Entry]:
        """What has a name that the user may give: artifacts and signals."""
        return [entry for entry in self.entries if entry.finished]

    def resolve(self, name: str) -> Entry:
        """The entry with a name, which may be shortened at its end, and lack its kind.

        Raises:
            StoreError: No entry has that name, or several.
        """
        exact = [entry for entry in self.finished if entry.name == name]
        short = [entry for entry in self.finished if entry.name.startswith(name)]
        short += [entry for entry in self.finished if entry.name.partition("-")[2].startswith(name)]
        found = exact or short
        if not name or not found:
            raise StoreError(
                "There is no such artifact",
                where=self.root,
                got=repr(name),
                expected=f"a name, or the beginning of one, as `{' '.join(program('store'))} ls` lists them",
            )
        if len(found) > 1:
            names = ", ".join(entry.name for entry in found[:8])
            raise StoreError("Several artifacts begin like this", got=repr(name), expected=f"one of {names}")
        return found[0]


def open_store(root: Path) -> Inventory:
    """What is in a store.

    Raises:
        StoreError: There is no folder, or one that is no store.
    """
    remedy = "name the store with --store, or set SCD_STORE"
    if not root.is_dir():
        raise StoreError("There is no store here", where=root.absolute(), remedy=remedy)
    inventory = scan(root)
    if not inventory.entries and not (root / layout.LOCKS).is_dir() and not (root / layout.RUNS).is_dir():
        raise StoreError("This folder holds no store", where=root.absolute(), remedy=remedy)
    return inventory


def scan(root: Path) -> Inventory:
    """Reads a store; nothing in it is changed."""
    records = tuple(read_records(root))
    artifacts = [_artifact(path, records) for path in _folders(root) if layout.ARTIFACT_NAME.fullmatch(path.name)]
    checkpoints: dict[str, list[Entry]] = {}
    for entry in artifacts:
        for digest in checkpoint_digests(entry.path / layout.TRAJECTORY) if entry.kind == "teacher" else ():
            checkpoints.setdefault(digest, []).append(entry)
    signals = [
        _signals(path, checkpoints)
        for path in _folders(root / layout.SIGNALS)
        if layout.SIGNALS_NAME.fullmatch(path.name)
    ]
    finished = sorted([*artifacts, *signals], key=lambda entry: (entry.kind, entry.made))
    return Inventory(root, (*finished, *_rest(root, records)), records)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _artifact(path: Path, records: tuple[RunRecord, ...]) -> Entry:
    kind = path.name.partition("-")[0]
    return Entry(path.name, kind, path, _manifest(path / layout.MANIFEST), _users(path.name, records))


def _users(name: str, records: tuple[RunRecord, ...]) -> tuple[RunRecord, ...]:
    return tuple(record for record in records if name in record.artifacts)


def _signals(path: Path, checkpoints: Mapping[str, list[Entry]]) -> Entry:
    if not (path / layout.FILES_MANIFEST).is_file():
        return Entry(path.name, "partial", path)
    manifest = _manifest(path / layout.FILES_MANIFEST)
    teachers = checkpoints.get(str((manifest or {}).get("checkpoint")), [])
    runs = {record.path: record for teacher in teachers for record in teacher.runs}
    names = tuple(teacher.name for teacher in teachers)
    return Entry(path.name, "signals", path, manifest, tuple(runs[key] for key in sorted(runs)), names)


def _rest(root: Path, records: tuple[RunRecord, ...]) -> Iterator[Entry]:
    for path in _folders(root):
        name = path.name.removesuffix(layout.PARTIAL)
        if path.name != name and layout.ARTIFACT_NAME.fullmatch(name):
            yield Entry(name, "partial", path, runs=_users(name, records))
    for path in sorted((root / layout.SIGNALS).glob("head-*")):
        if layout.HEAD_NAME.fullmatch(path.name):
            yield Entry(path.name, "head", path)
    for path in _folders(root / layout.REMOVED):
        if re.fullmatch(layout.TAKEN_OUT.name, path.name):
            yield Entry(path.name, "removed", path)


def _manifest(path: Path) -> dict[str, Any] | None:
    with suppress(StoreError):
        return read_json(path)
    return None


def checkpoint_digests(trajectory: Path) -> list[str]:
    """Digests of a trajectory's checkpoints, as `CheckpointStore.digest` has them; none where they can't be read."""
    with suppress(StoreError, KeyError, TypeError):
        manifest = read_json(trajectory / layout.FILES_MANIFEST)
        frozen = [] if manifest["frozen"] is None else [manifest["frozen"]]
        return [sha256_json([*frozen, entry["sha256"]]) for entry in manifest["entries"]]
    return []
