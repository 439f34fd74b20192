"""A module's tensors by what becomes of them, and whether stored ones are the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from scd_lightning.errors import StoreError
from scd_lightning.store.reading import StoredTensor


@dataclass(frozen=True)
class Gathered:
    """The tensors of a module that is cut over processes, put together for the one that stores them.

    Attributes:
        trainable: The trainable parameters by name.
        frozen: The frozen ones and the persistent buffers.
    """

    trainable: dict[str, Tensor]
    frozen: dict[str, Tensor]


def split_tensors(module: nn.Module | Gathered) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A module's trainable parameters, and its frozen ones with the persistent buffers; tied ones under one name."""
    if isinstance(module, Gathered):
        return module.trainable, module.frozen
    # Layers that are put together hold copies, which the next use would make anew from the parts.
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
    trainable: dict[str, Tensor] = {}
    frozen: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        (trainable if parameter.requires_grad else frozen)[name] = parameter
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    # Only the state dict leaves out buffers that are not persistent.
    persistent = module.state_dict(keep_vars=True).keys() - parameters
    frozen |= {name: buffer for name, buffer in module.named_buffers() if name in persistent}
    return trainable, frozen


def check_same_names(names: Iterable[str], expected: Iterable[str], root: Path) -> None:
    """Refuses a checkpoint of other tensors than the ones before it.

    Raises:
        StoreError: The names differ.
    """
    if difference := set(names) ^ set(expected):
        raise StoreError(
            "A checkpoint has other trainable tensors than the ones stored before it",
            where=root,
            got=_some(difference),
            expected="the same names in every checkpoint",
            remedy="start the training again with an empty folder",
        )


def check_fit(stored: Mapping[str, StoredTensor], targets: Mapping[str, Tensor], root: Path, *, complete: bool) -> None:
    """Refuses stored tensors that are not the module's.

    Args:
        stored: What the files hold.
        targets: The module's tensors.
        root: The store, for the message.
        complete: Every tensor of the module must be stored; else the module may have more.

    Raises:
        StoreError: A name, shape or dtype differs.
    """
    unknown = stored.keys() - targets.keys()
    missing = targets.keys() - stored.keys() if complete else set()
    if unknown or missing:
        raise StoreError(
            "A checkpoint does not fit the model",
            where=root,
            got=f"tensors that the model lacks: {_some(unknown)}; that the checkpoint lacks: {_some(missing)}",
            remedy="load it into the model that it was taken of",
        )
    for name, tensor in stored.items():
        target = targets[name]
        if tensor.shape != target.shape or tensor.dtype != target.dtype:
            raise StoreError(
                "A checkpoint's tensor does not fit the model",
                where=f"{name} in {root}",
                got=f"{list(tensor.shape)} {tensor.dtype}",
                expected=f"{list(target.shape)} {target.dtype}",
                remedy="load it into the model that it was taken of",
            )


def _some(names: Iterable[str]) -> str:
    """The first few names, for a message."""
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "") or "none"
