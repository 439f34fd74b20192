"""The files of one checkpoint's signals while they are written, by one process or several."""

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.errors import StoreError
from scd_lightning.lm_head import LMHead
from scd_lightning.store.layout import IN_SIGNALS, STORED_SIGNALS
from scd_lightning.store.making import make_folder
from scd_lightning.store.manifest import fsync, known_checksum, known_digest, write_atomically, write_sealed
from scd_lightning.store.removal import delete

# Part of the key of signals: raised when the files say something else, so that earlier ones are not taken for these.
FORMAT = 3
HIDDEN, LOSSES, MANIFEST = "hidden.npy", "losses.npy", "manifest.json"
_PART = ".part"
# bfloat16 is no NumPy type: its bits are stored, and read back under its name.
_BITS = {torch.bfloat16: torch.int16}


class Place(NamedTuple):
    """Where a sample stands in the files of a pass.

    Attributes:
        row: Its place among the samples.
        tokens: The places of its completion tokens among those of all.
    """

    row: int
    tokens: slice


def places(indices: Sequence[int], completion_lengths: Sequence[int]) -> dict[int, Place]:
    """The place of each sample.

    Args:
        indices: [M], the samples, in the files' order.
        completion_lengths: [M], completion tokens of each.
    """
    each = zip(indices, completion_lengths, accumulate(completion_lengths), strict=True)
    return {index: Place(row, slice(end - length, end)) for row, (index, length, end) in enumerate(each)}


class SignalFiles:
    """The files of a pass while they are written; process 0 lays them out, and each process writes its samples' rows.

    They have names of their own until they are whole: a run that still reads earlier ones keeps what it has.

    Args:
        folder: Where.
        indices: [M], the samples, each of which has its place in them.
        completion_lengths: [M], completion tokens of each.
        hidden: Hidden states [K, D] as they will be stored, for their dtype and width.
        losses: Losses [B], for their dtype.

    Raises:
        StoreError: The disk has no room, or can't be written.
    """

    def __init__(
        self, folder: Path, indices: Sequence[int], completion_lengths: Sequence[int], hidden: Tensor, losses: Tensor
    ) -> None:
        self._folder = folder
        self._places = places(indices, completion_lengths)
        shape = sum(completion_lengths), hidden.shape[1]
        with _explained(folder, shape[0] * shape[1] * hidden.element_size()):
            if distributed.rank() == 0:
                _lay_out(
                    folder, {HIDDEN: (_bits(hidden).dtype, shape), LOSSES: (_array(losses).dtype, (len(indices),))}
                )
            distributed.barrier()
            self._hidden, self._losses = (_Rows(folder / (name + _PART)) for name in (HIDDEN, LOSSES))

    def write(self, batch: Batch, hidden: Tensor, losses: Tensor) -> None:
        """Writes a batch's samples, padding rows apart.

        Raises:
            StoreError: The disk can't be written.
        """
        bits, values = _bits(hidden), _array(losses)
        ends = torch.bincount(batch.rows, minlength=batch.size).cumsum(0).tolist()
        with _explained(self._folder):
            for i, (end, index, real) in enumerate(zip(ends, batch.indices, batch.real, strict=True)):
                if real:
                    row, tokens = self._places[index]
                    self._hidden.write(tokens.start, bits[end - (tokens.stop - tokens.start) : end])
                    self._losses.write(row, values[i : i + 1])

    def finish(self) -> None:
        """Gives the files their names, once all processes' rows are on the disk.

        Raises:
            StoreError: The disk can't be written, or has lost rows.
        """
        with _explained(self._folder):
            for rows in (self._hidden, self._losses):
                rows.sync()
            distributed.barrier()
            for rows in (self._hidden, self._losses):
                rows.check()
            distributed.barrier()
            if distributed.rank() == 0:
                for name in (HIDDEN, LOSSES):
                    os.replace(self._folder / (name + _PART), self._folder / name)
                fsync(self._folder)
            distributed.barrier()

    def close(self) -> None:
        """Closes the files, finished or not."""
        self._hidden.close()
        self._losses.close()


def seal(folder: Path, head: LMHead, about: dict[str, str]) -> None:
    """Writes the head, once for all checkpoints that share it, and the manifest last: what has one is whole.

    Args:
        folder: That of `SignalFiles`, finished.
        head: The teacher's own.
        about: What else the manifest says: checkpoint, samples, and dtypes of the hidden states.

    Raises:
        StoreError: The disk can't be written.
    """
    content = save({name: tensor.contiguous().cpu() for name, tensor in vars(head).items() if tensor is not None})
    name = head_name(hashlib.sha256(content).hexdigest())
    path = folder.parent / name
    if not path.is_file() or head_name(known_digest(path)) != name:
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    files = [folder / file for file in (HIDDEN, LOSSES)]
    manifest = {
        "format": FORMAT,
        "head": name,
        "shapes": {file.name: np.load(file, mmap_mode="r").shape for file in files},
        "bytes": {file.name: file.stat().st_size for file in files} | {name: len(content)},
        "crc32": {file.name: known_checksum(file) for file in files},
    }
    write_sealed(folder / MANIFEST, manifest | about)


def head_name(digest: str) -> str:
    """Name of the file of a head, by its SHA-256: checkpoints with the same head share it."""
    return f"head-{digest[:24]}.safetensors"


class _Rows:
    """Rows of an array's file, written one by one at their places.

    Not through a mapping: of pages that several machines change, a network disk may keep one's version alone, and a
    mapping of a disk that is full ends the process.
    """

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        self._path, self._first = path, mapped.offset
        self._bytes = mapped[:1].nbytes
        self._file = os.open(path, os.O_WRONLY)
        self._written: dict[tuple[int, int], int] = {}

    def write(self, row: int, values: np.ndarray) -> None:
        rest = np.ascontiguousarray(values).data.cast("B")
        place = self._first + row * self._bytes
        if distributed.active():
            self._written[place, len(rest)] = zlib.crc32(rest)
        while rest:  # The system writes two gigabytes at most at a time.
            count = os.pwrite(self._file, rest, place)
            rest, place = rest[count:], place + count

    def sync(self) -> None:
        os.fsync(self._file)

    def check(self) -> None:
        """Reads again what this process wrote."""
        with self._path.open("rb") as stream:
            for (place, size), checksum in self._written.items():
                stream.seek(place)
                if zlib.crc32(stream.read(size)) != checksum:
                    raise StoreError(
                        "The disk has lost part of what one of several processes wrote",
                        where=self._path,
                        remedy="put paths.store on another file system, or make the signals on one machine first",
                    )

    def close(self) -> None:
        os.close(self._file)


def _bits(hidden: Tensor) -> np.ndarray:
    return _array(hidden.view(_BITS.get(hidden.dtype, hidden.dtype)))


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


def _lay_out(folder: Path, files: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> None:
    """Makes files of the right sizes, with the room for them set aside: a full disk shows before the teacher runs."""
    make_folder(folder, STORED_SIGNALS, folder.parent)
    for name in (MANIFEST, *files, *(name + _PART for name in files)):
        delete(folder / name, IN_SIGNALS, folder.parent)
    for name, (dtype, shape) in files.items():
        with (folder / (name + _PART)).open("xb") as stream:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            stream.flush()
            size = stream.tell() + prod(shape) * dtype.itemsize
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            else:
                stream.truncate(size)


@contextmanager
def _explained(folder: Path, needed: int | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            "The teacher's signals can't be written",
            where=folder,
            got=error,
            expected=None if needed is None else f"room for {needed / 1e9:.2f} GB",
            remedy="free some disk space, choose another folder with paths.store, or take method.teacher=live",
        ) from error
