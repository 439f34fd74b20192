"""Files that other programs wrote: JSON, and tensors, first without their contents and then one by one."""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from scd_lightning.errors import ModelError

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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ModelError: It can't be read, or is no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("A file beside the weights can't be read", where=path, got=error) from error
    if not isinstance(content, dict):
        raise ModelError(
            "A file beside the weights is no JSON object", where=path, got=type(content).__name__, expected="an object"
        )
    return content


def read_infos(files: Iterable[Path]) -> dict[str, TensorInfo]:
    """Names, shapes and dtypes of all tensors in files; contents are not read.

    Raises:
        ModelError: A file can't be read, or holds more than tensors and plain values.
    """
    found: dict[str, TensorInfo] = {}
    for path in files:
        pickled = path.suffix != ".safetensors"
        found |= describe(state_dict(read_pickled(path, "meta"), path)) if pickled else _safetensors_infos(path)
    return found


def describe(tensors: Mapping[str, Tensor]) -> dict[str, TensorInfo]:
    """What is known of tensors without their contents."""
    return {
        name: TensorInfo(tuple(t.shape), str(t.dtype).removeprefix("torch."), t.dtype in _FLOATING)
        for name, t in tensors.items()
    }


def read_tensors(files: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    """All tensors in files with their names, one at a time; only what is looked at is read from the disk.

    Raises:
        ModelError: As `read_infos`.
    """
    for path in files:
        if path.suffix == ".safetensors":
            with _open(path) as opened:
                for name in sorted(opened.keys()):
                    yield name, opened.get_tensor(name)
        else:
            yield from state_dict(read_pickled(path, "cpu"), path).items()


def read_pickled(path: Path, device: str) -> Mapping[str, Any]:
    """Content of a file of torch.save, by torch's restricted unpickler.

    Args:
        path: The file.
        device: "cpu", or "meta" for shapes without contents.

    Raises:
        ModelError: It can't be read, or holds more than tensors and plain values.
    """
    try:
        # Files older than torch 1.6 are no archives, and have to be read whole.
        content = torch.load(path, map_location=device, weights_only=True, mmap=zipfile.is_zipfile(path))
    except UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise ModelError(
            "The file holds more than tensors and plain values, and reading that could run code",
            where=path,
            got=named.group(1) if named else str(error).splitlines()[0],
            remedy="save its weights again in the program that wrote it: "
            "torch.save({'state_dict': module.state_dict(), 'global_step': step}, path)",
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, Mapping):
        raise _unreadable(path, f"a {type(content).__name__} in it")
    return content


def state_dict(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The named tensors of a pickled file: a state dict itself, or a Lightning checkpoint with one inside.

    Raises:
        ModelError: There is none.
    """
    inner = content.get("state_dict") if path.suffix == ".ckpt" else content
    if not isinstance(inner, Mapping):
        raise ModelError(
            "The file is no Lightning checkpoint",
            where=path,
            got=", ".join(sorted(map(str, content))[:8]),
            expected="an entry state_dict",
        )
    return {name: value for name, value in inner.items() if isinstance(value, Tensor)}


def _open(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _safetensors_infos(path: Path) -> dict[str, TensorInfo]:
    found = {}
    with _open(path) as opened:
        for name in sorted(opened.keys()):
            part = opened.get_slice(name)
            dtype = part.get_dtype()
            found[name] = TensorInfo(tuple(part.get_shape()), dtype, dtype in _SAFETENSORS)
    return found


def _unreadable(path: Path, error: object) -> ModelError:
    return ModelError(
        "A file of weights can't be read", where=path, got=error, remedy="copy it anew, or leave this checkpoint out"
    )
