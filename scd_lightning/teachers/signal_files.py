"""The files of one checkpoint's signals while they are written, by one process or several."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.errors import StoreError

# bfloat16 is no NumPy type: its bits are stored, and read back under its name.
_BITS = {torch.bfloat16: torch.int16}


class Places:
    """Where samples stand in the files of a pass, and each one's completion tokens among all.

    Args:
        indices: [M], the samples, in the files' order.
        completion_lengths: [M], completion tokens of each.
    """

    def __init__(self, indices: Sequence[int], completion_lengths: Sequence[int]) -> None:
        self._offsets = np.concatenate([[0], np.cumsum(completion_lengths)])
        self._place = {index: place for place, index in enumerate(indices)}

    def of(self, index: int) -> int:
        """A sample's place."""
        return self._place[index]

    def tokens(self, index: int) -> slice:
        """The places of a sample's completion tokens."""
        place = self._place[index]
        return slice(int(self._offsets[place]), int(self._offsets[place + 1]))

    @property
    def size(self) -> int:
        """Completion tokens of all."""
        return int(self._offsets[-1])


class SignalFiles:
    """The files of a pass, open in all processes; process 0 lays them out.

    Args:
        folder: Where.
        indices: [M], the samples, each of which has its place in them.
        completion_lengths: [M], completion tokens of each.
        hidden: Hidden states [K, D] as they will be stored, for their dtype and width.
        losses: Losses [B], for their dtype.
    """

    def __init__(
        self, folder: Path, indices: Sequence[int], completion_lengths: Sequence[int], hidden: Tensor, losses: Tensor
    ) -> None:
        self._places = Places(indices, completion_lengths)
        if distributed.rank() == 0:
            shape = self._places.size, hidden.shape[1]
            _lay_out(folder, shape, _bits(hidden).dtype, losses.cpu().numpy().dtype, len(indices))
        distributed.barrier()
        self._hidden = np.load(folder / "hidden.npy", mmap_mode="r+")
        self._losses = np.load(folder / "losses.npy", mmap_mode="r+")

    def write(self, batch: Batch, hidden: Tensor, losses: Tensor) -> None:
        """Writes a batch's samples, padding rows apart."""
        bits = _bits(hidden)
        ends = torch.bincount(batch.rows, minlength=batch.size).cumsum(0).tolist()
        for end, loss, index, real in zip(ends, losses.tolist(), batch.indices, batch.real, strict=True):
            if real:
                tokens = self._places.tokens(index)
                self._hidden[tokens] = bits[end - (tokens.stop - tokens.start) : end]
                self._losses[self._places.of(index)] = loss

    def close(self) -> None:
        """Sees to it that what was written is on the disk, before others may read it."""
        self._hidden.flush()
        self._losses.flush()
        distributed.barrier()


def _bits(hidden: Tensor) -> np.ndarray:
    return hidden.view(_BITS.get(hidden.dtype, hidden.dtype)).cpu().numpy()


def _lay_out(folder: Path, shape: tuple[int, int], hidden: np.dtype, losses: np.dtype, samples: int) -> None:
    """Makes files of the right sizes, with the room for them set aside."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    try:
        np.lib.format.open_memmap(folder / "hidden.npy", "w+", hidden, shape).flush()
        np.lib.format.open_memmap(folder / "losses.npy", "w+", losses, (samples,)).flush()
        for name in ("hidden.npy", "losses.npy"):
            _reserve(folder / name)
    except OSError as error:
        raise StoreError(
            "The teacher's signals can't be written",
            where=folder,
            got=error,
            expected=f"room for {shape[0] * shape[1] * hidden.itemsize / 1e9:.2f} GB",
            remedy="free some disk space, choose another folder with paths.store, or take method.teacher=live",
        ) from error


def _reserve(path: Path) -> None:
    """Has the disk set a mapped file's room aside: where it lacks it later, the process dies of a bus error."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
