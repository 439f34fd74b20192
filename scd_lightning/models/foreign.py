"""The one place where files that other programs wrote are opened; `tests/test_one_place.py` holds the rest to that.

No code that comes with a model is run unless `trust_remote_code` allows it, pickled weights go through torch's
restricted unpickler, and what can't be read is a `ModelError`. Rows of data are read in `data/`, our own files where
they are kept.
"""

import io
import json
import re
import struct
import zipfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
import yaml
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)

from scd_lightning.errors import ModelError
from scd_lightning.store.manifest import sha256_file


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object beside the weights.

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


def read_card_head(card: Path) -> dict[str, Any]:
    """The YAML between the first two lines of dashes of a model card; empty where there is none that can be read."""
    if not card.is_file():
        return {}
    parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        head = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    return head if isinstance(head, dict) else {}


def read_config(
    path: str | Path,
    *,
    where: str,
    what: str = "The model's configuration",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> PretrainedConfig:
    """The configuration of a transformers folder or hub model.

    Args:
        path: Folder or hub id.
        where: The argument that named it, for messages.
        what: What messages call it.
        revision: Branch, tag or commit on the hub, or None.
        trust_remote_code: Run code that comes with it.

    Raises:
        ModelError: transformers can't make one of it.
    """
    try:
        return AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(f"{what} can't be used ({error})", where=where, got=path) from error


def read_tokenizer(
    path: str | Path, *, where: str, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The tokenizer of a transformers folder or hub model: a fast one, or a slow one where there is no other.

    Args:
        path: Folder or hub id.
        where: The argument that named it, for messages.
        revision: Branch, tag or commit on the hub, or None.
        trust_remote_code: Run code that comes with it.

    Raises:
        ModelError: There is none that transformers can read.
    """
    try:
        return AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        remedy = None
        if "trust_remote_code" in str(error):  # transformers' own message: it needs code of its own.
            switch = f"{where.partition('.')[0]}.trust_remote_code=true"
            remedy = f"if you have read the code that comes with it, and trust it: {switch}"
        what = " ".join(str(error).split())
        raise ModelError(f"The tokenizer could not be loaded ({what})", where=where, got=path, remedy=remedy) from error


def read_model(
    path: str | Path,
    *,
    where: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    **how: Any,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The causal language model of a transformers folder or hub id.

    Args:
        path: Folder or hub id.
        where: The argument that named it, for messages.
        revision: Branch, tag or commit on the hub, or None.
        trust_remote_code: Run code that comes with it.
        allow_pickle: Read weights that are there in pickled form alone.
        **how: The dtype, the attention kernel and the like, as transformers takes them.

    Returns:
        The model, and which of the stored and the wanted tensors did not match.

    Raises:
        ModelError: Its files can't be read, or transformers can't build it.
    """
    try:
        found: tuple[PreTrainedModel, dict[str, Any]] = cast(Any, AutoModelForCausalLM).from_pretrained(
            path,
            revision=revision,
            trust_remote_code=trust_remote_code,
            # None takes pickled weights too, where there are no others.
            use_safetensors=None if allow_pickle else True,
            weights_only=True,
            output_loading_info=True,
            **how,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise ModelError(f"The weights could not be loaded ({error})", where=where, got=path) from error
    return found


def is_gguf(file: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    with file.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def read_gguf(file: Path, dtype: torch.dtype, where: str) -> tuple[Any, Any, dict[str, Any]]:
    """The model of a GGUF file, dequantized, its tokenizer, and which tensors did not match, as `read_model` tells.

    Args:
        file: The file.
        dtype: What the weights are dequantized to.
        where: The argument that named it, for messages.

    Raises:
        ModelError: transformers can't read it, as where it does not know the architecture.
    """
    try:
        # Its progress bar has no switch.
        with redirect_stderr(io.StringIO()):
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            model, info = cast(Any, AutoModelForCausalLM).from_pretrained(
                file.parent, gguf_file=file.name, dtype=dtype, output_loading_info=True
            )
    except (OSError, ValueError, LookupError, RuntimeError, struct.error) as error:
        raise ModelError(f"The GGUF file could not be read ({error})", where=where, got=file.name) from error
    return model, tokenizer, info


def open_safetensors(path: Path) -> Any:
    """A file of tensors, opened: a context that reads each when it is asked for.

    Raises:
        ModelError: It can't be read.
    """
    try:
        return safe_open(path, "pt")
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def read_beginning(path: Path, count: int = 512) -> bytes:
    """The first bytes of a file.

    Raises:
        ModelError: It can't be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise _unreadable(path, error) from error


def safetensors_size(path: Path) -> int:
    """How many bytes a safetensors file has, by its own header.

    Raises:
        ModelError: The header can't be read.
    """
    try:
        with path.open("rb") as stream:
            # A damaged length must not become an attempt to read as much.
            length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
            header = json.loads(stream.read(length))
        ends = (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        return 8 + length + max(ends, default=0)
    except (AttributeError, LookupError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise _unreadable(path, f"a header that is none ({error})") from error


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


def file_digest(file: Path) -> str:
    """SHA-256 of a file; of gigabytes that a plan asks for several times in a process, it is computed once."""
    status = file.stat()
    return _file_digest(file, status.st_size, status.st_mtime_ns)


@cache
def _file_digest(file: Path, size: int, changed: int) -> str:
    return sha256_file(file)


def _unreadable(path: Path, error: object) -> ModelError:
    return ModelError(
        "A file of weights can't be read", where=path, got=error, remedy="copy it anew, or leave this checkpoint out"
    )
