"""Teacher signals on disk: what a checkpoint says about a set of samples, computed once and shared by all runs.

A teacher whose loss lies on completion tokens only is its last hidden states at those positions plus its LM head:
exact, and far smaller than its logits.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.checkpoints.manifest import read_json, sha256_json, write_atomically, write_json
from scd_lightning.errors import StoreError
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.progress import say, track
from scd_lightning.teachers.live import LiveSource

FORMAT = 2
# bfloat16 is no NumPy type: its bits are stored, and read back under this name.
_BITS = {torch.bfloat16: torch.int16}


@dataclass(frozen=True)
class SampleSet:
    """The training samples that signals are about, in a plan that knows no number of processes.

    Attributes:
        name: What messages call it.
        indices: [M], positions in the training split.
        completion_lengths: [M], completion tokens of each.
        digest: Hex digest of the samples as token ids.
        batches: Makes this process's share of the batches.
        num_batches: How many those are.
    """

    name: str
    indices: Sequence[int]
    completion_lengths: Sequence[int]
    digest: str
    batches: Callable[[], Iterable[Batch]]
    num_batches: int


class Signals:
    """One checkpoint's signals for a sample set, memory-mapped.

    Args:
        folder: Where `SignalStore` wrote them.
        samples: The set they are about.
        device: Where answers go.
    """

    def __init__(self, folder: Path, samples: SampleSet, device: torch.device) -> None:
        manifest = read_json(folder / "manifest.json")
        self.device = device
        self.dtype = getattr(torch, manifest["dtype"])
        self._hidden = np.load(folder / "hidden.npy", mmap_mode="r")
        self._losses = torch.from_numpy(np.load(folder / "losses.npy")).to(device)
        head = load_file(folder.parent / manifest["head"], device=str(device))
        self.head = LMHead(head["weight"], head.get("bias"))
        self._offsets = np.concatenate([[0], np.cumsum(samples.completion_lengths)])
        self._place = {index: place for place, index in enumerate(samples.indices)}

    def _places(self, batch: Batch) -> list[int]:
        return [self._place[index] for index in batch.index.tolist()]

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [K, D] of the batch's completion positions."""
        rows = [self._hidden[self._offsets[place] : self._offsets[place + 1]] for place in self._places(batch)]
        return torch.from_numpy(np.concatenate(rows)).view(self.dtype).to(self.device)

    def losses(self, batch: Batch) -> Tensor:
        """Per-sample losses [B]."""
        return self._losses[self._places(batch)]


class SignalStore:
    """Makes and finds signals under one folder.

    Args:
        root: The folder, shared by runs.
        precision: Name of the arithmetic that the teacher runs in; part of the key.
        model: Digest of what checkpoints leave open, such as the weights below adapters; part of the key.
    """

    def __init__(self, root: Path, precision: str, model: str = "") -> None:
        self.root, self.precision, self.model = root, precision, model

    def folder(self, checkpoint_digest: str, samples: SampleSet) -> Path:
        """Where a checkpoint's signals for a sample set belong."""
        key = {"format": FORMAT, "checkpoint": checkpoint_digest, "samples": samples.digest, "dtype": self.precision}
        key["model"] = self.model
        return self.root / f"signals-{sha256_json(key)[:24]}"

    def complete(self, folder: Path) -> bool:
        """Whether signals are there, with files of the sizes that their manifest names."""
        if not (folder / "manifest.json").is_file():
            return False
        sizes = read_json(folder / "manifest.json")["bytes"]
        paths = {name: folder / name if name.endswith(".npy") else self.root / name for name in sizes}
        return all(path.is_file() and path.stat().st_size == sizes[name] for name, path in paths.items())

    def ensure(self, checkpoint: int, samples: SampleSet, source: Callable[[], LiveSource], digest: str) -> Path:
        """Returns the folder of a checkpoint's signals, made by a pass over the samples where it is not there.

        All processes call it together. Of two runs side by side one computes, the other waits; only process 0 holds
        the lock, and the others hear of it in short rounds, so that no collective runs into its time-out.

        Args:
            checkpoint: Index of the checkpoint.
            samples: The samples.
            source: Makes the live teacher, only called where it is needed.
            digest: The checkpoint's digest.
        """
        folder = self.folder(digest, samples)
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock")
        told = False
        while (state := distributed.from_first_rank(self._claim(folder, lock))) == "wait":
            if not told:
                say(f"Waiting for another run that computes the {samples.name} of checkpoint {checkpoint}")
                told = True
        try:
            if state == "compute":
                _compute(folder, checkpoint, samples, source(), {"checkpoint": digest, "samples": samples.name})
        finally:
            lock.release()
        return folder

    def _claim(self, folder: Path, lock: FileLock) -> str:
        if distributed.rank() > 0:
            return ""
        if self.complete(folder):
            return "ready"
        try:
            lock.acquire(timeout=5)
        except Timeout:
            return "wait"
        return "ready" if self.complete(folder) else "compute"


def _compute(folder: Path, checkpoint: int, samples: SampleSet, source: LiveSource, about: dict[str, str]) -> None:
    """One pass over the samples, each process writing its own rows of the common files."""
    source.load(checkpoint)
    offsets = np.concatenate([[0], np.cumsum(samples.completion_lengths)])
    place = {index: i for i, index in enumerate(samples.indices)}
    files: tuple[np.ndarray, np.ndarray] | None = None
    dtype = torch.float32
    for batch in track(samples.batches(), f"{samples.name} of checkpoint {checkpoint}", samples.num_batches):
        batch = batch.to(source.head.weight.device)
        hidden = source.hidden(batch)
        # A live teacher's losses are taken inside a training step, which runs in this precision too.
        with torch.no_grad(), source.context():
            losses = source.losses(batch, Unprojected(hidden, source.head))
        if files is None:
            dtype = hidden.dtype
            files = _open_files(folder, int(offsets[-1]), len(samples.indices), hidden, losses)
        bits = hidden.view(_BITS.get(dtype, dtype)).cpu().numpy()
        ends = torch.bincount(batch.rows, minlength=batch.size).cumsum(0).tolist()
        rows = zip(ends, losses.tolist(), batch.index.tolist(), batch.sample_weight.tolist(), strict=True)
        for end, loss, index, weight in rows:
            if weight > 0:
                start = end - samples.completion_lengths[place[index]]
                files[0][offsets[place[index]] : offsets[place[index] + 1]] = bits[start:end]
                files[1][place[index]] = loss
    assert files is not None
    for array in files:
        array.flush()  # type: ignore[attr-defined]
    distributed.barrier()
    if distributed.rank() == 0:
        _finish(folder, source.head, dtype, about)
    distributed.barrier()


def _open_files(
    folder: Path, tokens: int, samples: int, hidden: Tensor, losses: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Process 0 lays out the files, the others open them."""
    bits = hidden.new_empty(0).view(_BITS.get(hidden.dtype, hidden.dtype)).cpu().numpy().dtype
    if distributed.rank() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").unlink(missing_ok=True)
        try:
            np.lib.format.open_memmap(folder / "hidden.npy", "w+", bits, (tokens, hidden.shape[1])).flush()
            np.lib.format.open_memmap(folder / "losses.npy", "w+", losses.cpu().numpy().dtype, (samples,)).flush()
            for name in ("hidden.npy", "losses.npy"):
                _reserve(folder / name)
        except OSError as error:
            raise StoreError(
                "The teacher's signals can't be written",
                where=folder,
                got=error,
                expected=f"room for {tokens * hidden.shape[1] * bits.itemsize / 1e9:.2f} GB",
                remedy="free some disk space, choose another folder with paths.store, or take method.teacher=live",
            ) from error
    distributed.barrier()
    return np.load(folder / "hidden.npy", mmap_mode="r+"), np.load(folder / "losses.npy", mmap_mode="r+")


def _reserve(path: Path) -> None:
    """Has the disk set a mapped file's room aside: where it lacks it later, the process dies of a bus error."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def _finish(folder: Path, head: LMHead, dtype: torch.dtype, about: dict[str, str]) -> None:
    """Writes the head, once for all checkpoints that share it, and the manifest last."""
    tensors = {"weight": head.weight.contiguous().cpu()}
    if head.bias is not None:
        tensors["bias"] = head.bias.contiguous().cpu()
    content = save(tensors)
    name = f"head-{hashlib.sha256(content).hexdigest()[:24]}.safetensors"
    path = folder.parent / name
    if not path.is_file() or path.stat().st_size != len(content):
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    sizes = {file: (folder / file).stat().st_size for file in ("hidden.npy", "losses.npy")}
    manifest = {"format": FORMAT, "dtype": str(dtype).removeprefix("torch."), "head": name} | about
    write_json(folder / "manifest.json", manifest | {"bytes": sizes | {name: len(content)}})
