"""The kept checkpoints of one training, as safetensors with a manifest."""

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scd_lightning.errors import StoreError
from scd_lightning.store.layout import CHECKPOINT, CHECKPOINT_NAME, check_name
from scd_lightning.store.manifest import (
    check_digest,
    damaged,
    known_digest,
    open_as_its_folder,
    read_sealed,
    sha256_json,
    write_atomically,
    write_sealed,
)
from scd_lightning.store.reading import StoredTensor, read_into, stored_tensors
from scd_lightning.store.removal import delete
from scd_lightning.store.sharded import read_parts
from scd_lightning.store.tensors import Gathered, check_fit, check_same_names, split_tensors

MANIFEST = "manifest.json"
FROZEN = "frozen.safetensors"


@dataclass(frozen=True)
class CheckpointEntry:
    """One checkpoint of the manifest.

    Attributes:
        index: Place in the trajectory, from 0.
        step: Optimizer step after which it was taken.
        file: File name within the store's folder.
        sha256: Hex digest of that file.
        metrics: What was measured of it, by name.
    """

    index: int
    step: int
    file: str
    sha256: str
    metrics: dict[str, float]


class CheckpointStore:
    """A folder of checkpoints of one module: trained tensors in each, frozen ones once.

    The manifest is written after the files that it names, so that what it names is complete. Only one process may
    write; any number may read.

    Args:
        root: The folder; the first save makes it.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def entries(self) -> list[CheckpointEntry]:
        """The checkpoints in order, read from the disk; empty before the first save.

        Raises:
            StoreError: The manifest is damaged.
        """
        return self._read()[1]

    @property
    def count(self) -> int:
        """How many checkpoints a training has left.

        Raises:
            StoreError: None, or their manifest is damaged.
        """
        return len(self._whole()[1])

    @property
    def bytes(self) -> int:
        """Disk space that its checkpoints take, also those that an interrupted training has left."""
        return sum(path.stat().st_size for path in self.root.glob("*.safetensors"))

    def save(
        self, module: nn.Module | Gathered, step: int, metrics: Mapping[str, float], *, keep_frozen: bool = True
    ) -> int:
        """Stores a module's trainable tensors, and with the first save its frozen ones.

        Stored checkpoints of this step and later ones are given up first: they are left from a training that was
        interrupted and now comes past them again.

        Args:
            module: The module; tied weights are stored once. Of one that may be sharded, what `gathered` made of it.
            step: The optimizer step.
            metrics: What was measured of it; finite numbers.
            keep_frozen: Store frozen parameters and persistent buffers too; without, whoever loads must have them
                from elsewhere, as with adapters on a base model.

        Returns:
            The checkpoint's index.

        Raises:
            StoreError: No disk space, a metric that is not finite, or other trainable tensors than in the first save.
                Earlier checkpoints stay as they were.
        """
        _check_finite(metrics, step)
        trainable, frozen = split_tensors(module)
        manifest, entries = self._read()
        if manifest:
            check_same_names(trainable, manifest["trainable"], self.root)
            entries = self._give_up_from(step, manifest, entries)
        else:
            digest = self._write(FROZEN, frozen) if keep_frozen and frozen else None
            manifest = {"trainable": sorted(trainable), "complete": keep_frozen or not frozen, "frozen": digest}
        file = f"checkpoint-{step}.safetensors"
        entry = CheckpointEntry(len(entries), step, file, self._write(file, trainable), dict(metrics))
        self._write_manifest(manifest, [*entries, entry])
        return entry.index

    def annotate(self, index: int, metrics: Mapping[str, float]) -> None:
        """Adds metrics to a stored checkpoint, replacing those of the same name.

        Raises:
            StoreError: A metric is not finite, or the disk is full.
            IndexError: There is no such checkpoint.
        """
        manifest, entries = self._read()
        entry = _pick(entries, index)
        _check_finite(metrics, entry.step)
        entry.metrics.update(metrics)
        self._write_manifest(manifest, entries)

    def load_into(self, module: nn.Module, index: int) -> int:
        """Copies a checkpoint into a module's own tensors, which stay the same objects.

        Everything is checked before the first copy, so that a refused module is as it was.

        Returns:
            Bytes copied.

        Raises:
            StoreError: A file is missing or damaged, or a tensor does not fit the module.
            IndexError: There is no such checkpoint.
        """
        stored: dict[str, StoredTensor] = {}
        for path, digest in self._files(index):
            check_digest(path, digest)
            stored |= stored_tensors(path)
        trainable, frozen = split_tensors(module)
        targets = trainable | frozen
        check_fit(stored, targets, self.root, complete=self._read()[0]["complete"])
        parts = {name: each for name, each in targets.items() if name in stored and isinstance(each, DTensor)}
        return read_parts(stored, parts) + read_into({n: t for n, t in stored.items() if n not in parts}, targets)

    def verify(self) -> None:
        """Compares every file's digest, several files at a time; what this process has read before it does not reread.

        Raises:
            StoreError: A file is missing or damaged.
        """
        files = sorted({file for index in range(self.count) for file in self._files(index)})
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda file: check_digest(*file), files))

    def digest(self, index: int) -> str:
        """Hex digest of everything that `load_into` reads.

        Raises:
            IndexError: There is no such checkpoint.
        """
        return sha256_json([digest for _, digest in self._files(index)])

    def _files(self, index: int) -> list[tuple[Path, str]]:
        """The files of one checkpoint with their digests, the shared frozen one first."""
        manifest, entries = self._whole()
        entry = _pick(entries, index)
        frozen = [] if manifest["frozen"] is None else [(self.root / FROZEN, manifest["frozen"])]
        return [*frozen, (self.root / entry.file, entry.sha256)]

    def _whole(self) -> tuple[dict[str, Any], list[CheckpointEntry]]:
        """The manifest and its entries, of which there must be some."""
        manifest, entries = self._read()
        if not entries:
            raise StoreError("Checkpoints are missing", where=self.root, remedy="run again, so that they are made anew")
        return manifest, entries

    def _read(self) -> tuple[dict[str, Any], list[CheckpointEntry]]:
        """The manifest and its entries; both empty before the first save."""
        path = self.root / MANIFEST
        if not path.exists():
            return {}, []
        manifest = read_sealed(path)
        try:
            entries = [CheckpointEntry(**entry) for entry in manifest.pop("entries")]
            whole = [entry.index for entry in entries] == list(range(len(entries)))
            for entry in entries:
                check_name(entry.file, CHECKPOINT_NAME, path)
        except (KeyError, TypeError) as error:
            raise _other_format(path, repr(error)) from error
        if not whole or manifest.keys() != {"trainable", "complete", "frozen"}:
            raise _other_format(path, f"keys {sorted(manifest)} and {len(entries)} entries")
        return manifest, entries

    def _write(self, file: str, tensors: Mapping[str, Tensor]) -> str:
        """Stores tensors and returns the file's digest."""
        content = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}

        def write(path: Path) -> None:
            try:
                save_file(content, path, metadata={"format": "pt"})
            except SafetensorError as error:  # which is how the library reports a full disk
                raise OSError(str(error)) from error
            open_as_its_folder(path)

        write_atomically(self.root / file, write)
        return known_digest(self.root / file)

    def _write_manifest(self, manifest: Mapping[str, Any], entries: Iterable[CheckpointEntry]) -> None:
        write_sealed(self.root / MANIFEST, {**manifest, "entries": [asdict(entry) for entry in entries]})

    def _give_up_from(
        self, step: int, manifest: Mapping[str, Any], entries: list[CheckpointEntry]
    ) -> list[CheckpointEntry]:
        """Removes the checkpoints from a step on, first from the manifest, and returns those before it."""
        kept = [entry for entry in entries if entry.step < step]
        if len(kept) < len(entries):
            self._write_manifest(manifest, kept)
            for entry in entries[len(kept) :]:
                delete(self.root / entry.file, CHECKPOINT, self.root.parent)
        return kept


def required_bytes(module: nn.Module, count: int, *, keep_frozen: bool = True) -> int:
    """Disk space that a store of `count` checkpoints of a module takes, but for a few kilobytes of names."""
    trainable, frozen = (sum(tensor.nbytes for tensor in part.values()) for part in split_tensors(module))
    return count * trainable + (frozen if keep_frozen else 0)


def _pick(entries: list[CheckpointEntry], index: int) -> CheckpointEntry:
    if not 0 <= index < len(entries):
        raise IndexError(f"checkpoint {index} does not exist, the store has {len(entries)}")
    return entries[index]


def _check_finite(metrics: Mapping[str, float], step: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise StoreError(
                "A checkpoint's metric is not a finite number",
                where=f"{name} at step {step}",
                got=value,
                remedy="the training has diverged: lower the learning rate",
            )


def _other_format(path: Path, got: str) -> StoreError:
    return damaged("A checkpoint manifest has another format than expected", path, got)
