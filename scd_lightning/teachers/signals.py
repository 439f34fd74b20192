"""Teacher signals on disk: what a checkpoint says about a set of samples, computed once and shared by all runs.

A teacher whose loss lies on completion tokens only is its last hidden states at those positions plus its LM head:
exact, and far smaller than its logits. Hidden states may be stored rounded to another dtype; the per-sample losses are
always those of the unrounded ones.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.errors import StoreError
from scd_lightning.launch import preemption
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.losses.logits import autocast_dtype
from scd_lightning.progress import say, track
from scd_lightning.store.disk import bytes_on_disk
from scd_lightning.store.layout import HEAD_NAME, check_name
from scd_lightning.store.making import make_place
from scd_lightning.store.manifest import known_checksum, known_digest, read_sealed, sha256_json
from scd_lightning.store.reading import stored_tensors
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signal_files import FORMAT, HIDDEN, LOSSES, MANIFEST, SignalFiles, head_name, places, seal
from scd_lightning.teachers.source import Precision

# Bytes that NumPy writes before the values of an array of so few dimensions.
_NPY_HEADER = 128


def stored_dtype(choice: str, dtype: torch.dtype) -> torch.dtype:
    """What hidden states of a dtype are stored in, by the choice of "auto" (as they are) or another dtype's name."""
    return dtype if choice == "auto" else getattr(torch, choice)


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
        context: Enters the precision that training steps run in.
        heads: The LM heads that are open already, by the names of their files; this one's is added.

    Attributes:
        dtype: What hidden states and head come in: that of the step's product of the two, so that no step casts the
            head. It does not depend on the dtype in which the hidden states are stored.
        head: The LM head.
    """

    def __init__(
        self, folder: Path, samples: SampleSet, device: torch.device, context: Precision, heads: dict[str, LMHead]
    ) -> None:
        manifest = read_sealed(folder / MANIFEST)
        self.device = device
        self._stored = getattr(torch, manifest["stored"])
        with context():
            self.dtype = autocast_dtype(torch.empty(0, dtype=getattr(torch, manifest["dtype"]), device=device))
        self._hidden = np.load(folder / HIDDEN, mmap_mode="r")
        self._losses = torch.from_numpy(np.load(folder / LOSSES))
        name = check_name(manifest["head"], HEAD_NAME, folder / MANIFEST)
        if name not in heads:
            head = load_file(folder.parent / name, device=str(device))
            heads[name] = LMHead(**head).to(self.dtype)
        self.head = heads[name]
        self._places = places(samples.indices, samples.completion_lengths)

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [K, D] of the batch's completion positions."""
        rows = [self._hidden[self._places[index].tokens] for index in batch.indices]
        hidden = torch.from_numpy(np.concatenate(rows)).view(self._stored)
        if self.device.type == "cuda":  # From pinned memory the copy runs beside what the GPU still works on.
            hidden = hidden.pin_memory().to(self.device, non_blocking=True)
        return hidden.to(self.device, self.dtype)

    def losses(self, batch: Batch) -> Tensor:
        """Per-sample losses [B]."""
        losses = self._losses[[self._places[index].row for index in batch.indices]]
        return losses.to(self.device, non_blocking=self.device.type == "cuda")


class SignalStore:
    """Makes and finds signals under one folder.

    Args:
        root: The folder, shared by runs.
        precision: Name of the arithmetic that the teacher runs in; part of the key.
        model: Digest of what checkpoints leave open, such as the weights below adapters; part of the key.
        dtype: What hidden states are stored in: "auto", the teacher's own dtype, which is exact, or a dtype's name;
            part of the key. Losses and head are stored as they are.
    """

    def __init__(self, root: Path, precision: str, model: str = "", dtype: str = "auto") -> None:
        self.root, self.precision, self.model, self.dtype = root, precision, model, dtype

    def folder(self, checkpoint_digest: str, samples: SampleSet) -> Path:
        """Where a checkpoint's signals for a sample set belong."""
        key = {"format": FORMAT, "checkpoint": checkpoint_digest, "samples": samples.digest, "dtype": self.precision}
        key |= {"model": self.model, "stored": self.dtype}
        return self.root / f"signals-{sha256_json(key)[:24]}"

    def complete(self, folder: Path, *, whole: bool = False, tell: bool = False) -> bool:
        """Whether signals are there, with files of the sizes and shapes that their manifest names.

        Args:
            folder: Where they belong.
            whole: Whether every byte must be what it was, too; files are read once.
            tell: Whether damage is to be said.
        """
        if not (folder / MANIFEST).exists():
            return False
        if (damage := self._damage(folder, whole=whole)) is not None and tell:
            say(f"  the store's {folder.name} are damaged and count as missing: {damage}")
        return damage is None

    def _damage(self, folder: Path, *, whole: bool) -> str | None:
        try:
            manifest = read_sealed(folder / MANIFEST)
            head = self.root / check_name(manifest["head"], HEAD_NAME, folder / MANIFEST)
            for name in (HIDDEN, LOSSES):
                if list(np.load(folder / name, mmap_mode="r").shape) != manifest["shapes"][name]:
                    return f"{name} has another shape"
                if (folder / name).stat().st_size != manifest["bytes"][name]:
                    return f"{name} has another size"
                if whole and known_checksum(folder / name) != manifest["crc32"][name]:
                    return f"{name} has another checksum"
            stored_tensors(head)
            if head.stat().st_size != manifest["bytes"][head.name]:
                return f"{head.name} has another size"
            if whole and head_name(known_digest(head)) != head.name:
                return f"{head.name} has another digest"
        except StoreError as error:
            return f"{error.what} ({error.where})"
        except Exception as error:  # NumPy reports a damaged header by whatever its parser raises.
            return repr(error)
        return None

    def missing_bytes(self, digest: str, samples: SampleSet, width: int, dtype: torch.dtype) -> int:
        """Disk space that a checkpoint's signals would still take, the head apart; 0 where they are there.

        Args:
            digest: The checkpoint's digest.
            samples: The samples.
            width: Width D of the teacher.
            dtype: That of its hidden states.
        """
        folder = self.folder(digest, samples)
        if self.complete(folder):
            return 0
        row = width * stored_dtype(self.dtype, dtype).itemsize
        loss = torch.promote_types(dtype, torch.float32).itemsize
        needed = 2 * _NPY_HEADER + sum(samples.completion_lengths) * row + len(samples.indices) * loss
        # What a killed run has left is removed first.
        return max(0, needed - sum(bytes_on_disk(path) for path in folder.glob("*.npy*")))

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
        preemption.safe_point()
        folder = self.folder(digest, samples)
        make_place(self.root)
        lock = FileLock(f"{folder}.lock")
        told = False
        while (state := distributed.from_first_rank(self._claim(folder, lock))) == "wait":
            if not told:
                say(f"Waiting for another run that computes the {samples.name} of checkpoint {checkpoint}")
                told = True
            preemption.safe_point()
        try:
            if state == "compute":
                about = {"checkpoint": digest, "samples": samples.name}
                _compute(folder, checkpoint, samples, source(), self.dtype, about)
        finally:
            lock.release()
        return folder

    def _claim(self, folder: Path, lock: FileLock) -> str:
        if distributed.rank() > 0:
            return ""
        if self.complete(folder, whole=True):
            return "ready"
        try:
            lock.acquire(timeout=5)
        except Timeout:
            return "wait"
        return "ready" if self.complete(folder, whole=True, tell=True) else "compute"


def _compute(
    folder: Path, checkpoint: int, samples: SampleSet, source: LiveSource, stored: str, about: dict[str, str]
) -> None:
    """One pass over the samples, each process writing its own rows of the common files."""
    source.load(checkpoint)
    files: SignalFiles | None = None
    with ExitStack() as opened:
        for batch in track(samples.batches(), f"{samples.name} of checkpoint {checkpoint}", samples.num_batches):
            preemption.safe_point()
            batch = batch.to(source.head.weight.device)
            hidden = source.hidden(batch)
            # A live teacher's losses are taken inside a training step, which runs in this precision too.
            with torch.no_grad(), source.context():
                losses = source.losses(batch, Unprojected(hidden, source.head))
            rounded = hidden.to(stored_dtype(stored, hidden.dtype))
            if files is None:
                about |= {"dtype": _name(hidden.dtype), "stored": _name(rounded.dtype)}
                files = SignalFiles(folder, samples.indices, samples.completion_lengths, rounded, losses)
                opened.callback(files.close)
            files.write(batch, rounded, losses)
        assert files is not None
        files.finish()
    if distributed.rank() == 0:
        seal(folder, source.own_head, about)
    distributed.barrier()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
