"""Tensors in files that other programs wrote: first without their contents, and then one by one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scd_lightning.errors import ModelError
from scd_lightning.models.foreign import open_safetensors, read_model, read_pickled
from scd_lightning.models.weight_files import check_intact

_SAFETENSORS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_FLOATING = set(_SAFETENSORS.values())


@dataclass(frozen=True)
class TensorInfo:
    """A stored tensor, without its contents.

    Attributes:
        shape: Its shape.
        dtype: Its dtype's name.
        plain: Whether these are floating-point numbers as they are, and not codes of quantized ones.
    """

    shape: tuple[int, ...]
    dtype: str
    plain: bool


def read_infos(files: Iterable[Path]) -> dict[str, TensorInfo]:
    """Names, shapes and dtypes of all tensors in files; contents are not read.

    Raises:
        ModelError: A file can't be read, or holds more than tensors and plain values.
    """
    found: dict[str, TensorInfo] = {}
    for path in files:
        check_intact(path)
        pickled = path.suffix != ".safetensors"
        found |= describe(state_dict(read_pickled(path, "meta"), path)) if pickled else _safetensors_infos(path)
    return found


def describe(tensors: Mapping[str, Tensor]) -> dict[str, TensorInfo]:
    """What is known of tensors without their contents."""
    return {
        name: TensorInfo(tuple(t.shape), str(t.dtype).removeprefix("torch."), t.dtype in _FLOATING)
        for name, t in tensors.items()
    }


def check_loaded(info: Mapping[str, Any], where: str, path: object) -> None:
    """Fails where transformers would fill a model up with random numbers, of which it only warns.

    Args:
        info: What it tells of a model that it has loaded.
        where: The argument that named it, for messages.
        path: Its folder, file or hub id.

    Raises:
        ModelError: The weights lack tensors of the architecture, or have them in other shapes.
    """
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            "The weights lack tensors of the causal language model",
            where=where,
            got=f"{len(missing)} missing in {path}, such as {missing[0]}",
            remedy="choose a complete causal language model, with the config.json that belongs to its weights",
        )
    if different := sorted(info["mismatched_keys"]):
        name, stored, wanted = different[0]
        raise ModelError(
            "The weights have other shapes than the model that config.json describes",
            where=where,
            got=f"{len(different)} in {path}, such as {name} of {list(stored)}",
            expected=list(wanted),
            remedy="take weights and config.json of one model",
        )


def require_finite(tensor: Tensor, where: str, remedy: str) -> None:
    """Fails where a tensor of floating-point numbers holds others than finite ones.

    Args:
        tensor: What was read.
        where: Its name and place, for the message.
        remedy: For the message.

    Raises:
        ModelError: With how many there are.
    """
    if tensor.numel() == 0 or tensor.dtype not in _FLOATING:
        return
    # Both are NaN where any value is; this is one pass without memory of its own.
    if not all(bound.isfinite() for bound in tensor.aminmax()):
        raise ModelError(
            "A weight is not a finite number",
            where=where,
            got=f"{int((~tensor.isfinite()).sum())} NaN or infinite values",
            remedy=remedy,
        )


def read_tensors(files: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    """All tensors in files with their names, one at a time; only what is looked at is read from the disk.

    Raises:
        ModelError: As `read_infos`.
    """
    for path in files:
        if path.suffix == ".safetensors":
            with open_safetensors(path) as opened:
                for name in sorted(opened.keys()):
                    yield name, opened.get_tensor(name)
        else:
            yield from state_dict(read_pickled(path, "cpu"), path).items()


def read_renamed(folder: Path, device: str, *, allow_pickle: bool) -> dict[str, Tensor] | None:
    """A transformers folder's tensors under the names that they have in memory, as transformers itself reads them.

    Some families are stored under other names, or in other pieces, than they have there.

    Args:
        folder: The folder.
        device: "cpu", or "meta" for shapes without contents.
        allow_pickle: Whether its weights are pickled, and may be.

    Returns:
        None where transformers can't read the folder; what it would fill with random numbers is left out.
    """
    try:
        model, info = read_model(folder, where=str(folder), allow_pickle=allow_pickle, dtype="auto", device_map=device)
    except ModelError:
        return None
    if info["unexpected_keys"]:
        return None
    return {name: tensor for name, tensor in model.state_dict().items() if name not in info["missing_keys"]}


def state_dict(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The named tensors of a pickled file: a state dict itself, or a Lightning checkpoint with one inside.

    Raises:
        ModelError: There is none, or a tensor claims more than the file holds.
    """
    inner = content.get("state_dict") if path.suffix == ".ckpt" else content
    if not isinstance(inner, Mapping):
        raise ModelError(
            "The file is no Lightning checkpoint",
            where=path,
            got=", ".join(sorted(map(str, content))[:8]),
            expected="an entry state_dict",
        )
    tensors = {name: value for name, value in inner.items() if isinstance(value, Tensor)}
    size = path.stat().st_size
    # A tensor of one number may call itself one of any shape; to go over it would take for ever.
    if wrong := [name for name, each in tensors.items() if each.numel() * each.element_size() > size]:
        raise ModelError(
            "A tensor has more numbers than its file",
            where=f"{wrong[0]} in {path}",
            got=list(tensors[wrong[0]].shape),
            remedy="save it as it is: tensor.contiguous()",
        )
    return tensors


def _safetensors_infos(path: Path) -> dict[str, TensorInfo]:
    found = {}
    with open_safetensors(path) as opened:
        for name in sorted(opened.keys()):
            part = opened.get_slice(name)
            dtype = part.get_dtype()
            found[name] = TensorInfo(tuple(part.get_shape()), dtype, dtype in _SAFETENSORS)
    return found
