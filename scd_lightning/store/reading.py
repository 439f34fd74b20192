"""Stored tensors, read straight into the memory of a model's own.

Copying from a memory-mapped file takes a page fault every few pages. Reading into memory that is there already does
not, and runs at nearly the speed of a copy within memory.
"""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from scd_lightning.errors import StoreError
from scd_lightning.store.manifest import damaged

# More than these wait for the memory, not for a core.
_THREADS = 4
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a safetensors file, not read yet.

    Attributes:
        path: The file.
        start: Where its bytes begin there.
        dtype: Its dtype.
        shape: Its shape.
    """

    path: Path
    start: int
    dtype: torch.dtype
    shape: torch.Size

    @property
    def nbytes(self) -> int:
        """Its size."""
        return prod(self.shape) * self.dtype.itemsize


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, by its header alone.

    Raises:
        StoreError: The header can't be read, or the file is not as long as it says.
    """
    try:
        with path.open("rb") as stream:
            # A damaged length must not become an attempt to read as much.
            length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        found = {name: _stored_tensor(path, 8 + length, entry) for name, entry in header.items()}
    except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError) as error:
        raise _damaged(path, repr(error), "a safetensors file") from error
    expected = 8 + length
    for tensor in sorted(found.values(), key=lambda tensor: (tensor.start, tensor.nbytes)):
        if tensor.start != expected:
            raise _damaged(path, f"a tensor that begins at byte {tensor.start}", f"byte {expected}")
        expected += tensor.nbytes
    if (size := path.stat().st_size) != expected:
        raise _damaged(path, f"{size} bytes", f"{expected} bytes")
    return found


def _stored_tensor(path: Path, base: int, entry: Mapping[str, Any]) -> StoredTensor:
    return StoredTensor(path, base + entry["data_offsets"][0], _DTYPES[entry["dtype"]], torch.Size(entry["shape"]))


@torch.no_grad()
def read_into(stored: Mapping[str, StoredTensor], targets: Mapping[str, Tensor]) -> int:
    """Overwrites tensors with stored ones of the same names, shapes and dtypes.

    Args:
        stored: What to read.
        targets: Where to; may have further names.

    Returns:
        Bytes read.
    """
    for path in {tensor.path for tensor in stored.values()}:
        here = {name: targets[name] for name, tensor in stored.items() if tensor.path == path}
        elsewhere = {name: target for name, target in here.items() if not _is_plain_memory(target)}
        if elsewhere:
            with safe_open(path, "pt") as mapped:
                for name, target in elsewhere.items():
                    target.copy_(mapped.get_tensor(name))
        _read_in_threads(path, [(stored[name], here[name]) for name in here.keys() - elsewhere.keys()])
    return sum(tensor.nbytes for tensor in stored.values())


def _read_in_threads(path: Path, pairs: list[tuple[StoredTensor, Tensor]]) -> None:
    """Reads tensors of one file. Where the system has cached it in small pages, a single core can't keep up."""

    def read(share: list[tuple[StoredTensor, Tensor]]) -> None:
        # Unbuffered: a buffer would be a second copy.
        with path.open("rb", buffering=0) as stream:
            for tensor, target in share:
                _read(stream, tensor, target)

    by_size = sorted(pairs, key=lambda pair: pair[0].nbytes)
    threads = min(_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, [by_size[first::threads] for first in range(threads)]))


def _is_plain_memory(target: Tensor) -> bool:
    return target.device.type == "cpu" and type(target.detach()) is Tensor and target.is_contiguous()


def _read(stream: FileIO, tensor: StoredTensor, target: Tensor) -> None:
    content: Any = target.detach().view(-1).view(torch.uint8).numpy()
    rest = memoryview(content)
    stream.seek(tensor.start)
    while rest:  # The system reads two gigabytes at most at a time.
        count = stream.readinto(rest)
        if not count:
            raise _damaged(tensor.path, "an end of the file within a tensor", "the size that it had a moment ago")
        rest = rest[count:]
    # As a copy would: for autograd to notice that the tensor has changed.
    torch.autograd.graph.increment_version(target)


def _damaged(path: Path, got: str, expected: str) -> StoreError:
    return damaged("A file of a checkpoint is damaged", path, got, expected)
