"""Weights that are cut over the processes of a job (DTensor), as files know them: whole, whoever wrote them."""

from collections.abc import Mapping

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scd_lightning import distributed
from scd_lightning.store.reading import StoredTensor
from scd_lightning.store.tensors import Gathered, split_tensors


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from the parts of all processes, which call this together; a plain one is whole."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def gathered(module: nn.Module, *, keep_frozen: bool) -> nn.Module | Gathered:
    """What process 0 can store of a module. All processes call it together.

    One weight after the other is put together, and moved to the memory of process 0's CPU.

    Args:
        module: The module; one that is not sharded is returned as it is.
        keep_frozen: As in `CheckpointStore.save`; frozen weights that are not stored stay in parts.
    """
    trainable, frozen = split_tensors(module)
    if not any(isinstance(tensor, DTensor) for tensor in (trainable | frozen).values()):
        return module
    return Gathered(_collect(trainable), _collect(frozen) if keep_frozen else frozen)


def _collect(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    collected = {}
    for name, tensor in tensors.items():
        full = whole(tensor)
        collected[name] = full.cpu() if distributed.rank() == 0 else torch.empty(0)
    return collected


@torch.no_grad()
def read_parts(stored: Mapping[str, StoredTensor], targets: Mapping[str, DTensor]) -> int:
    """Overwrites this process's parts of tensors, reading no more of the files than that.

    Args:
        stored: What to read.
        targets: Where to, each cut along its first dimension.

    Returns:
        Bytes read.
    """
    count = 0
    for path in {stored[name].path for name in targets}:
        with safe_open(path, "pt") as mapped:
            for name, target in targets.items():
                if stored[name].path != path:
                    continue
                part, start = target.to_local(), first_row(target)
                if len(part):
                    part.copy_(mapped.get_slice(name)[start : start + len(part)])
                count += part.nbytes
    return count


def first_row(tensor: DTensor) -> int:
    """Where this process's part of a tensor begins, which is cut along its first dimension as `torch.chunk` cuts."""
    mesh = tensor.device_mesh
    return min(mesh.get_local_rank() * -(-len(tensor) // mesh.size()), len(tensor))
