"""The one place where files that other programs wrote are opened; `tests/test_one_place.py` holds the rest to that.

No code that comes with a model is run unless `trust_remote_code` allows it, pickled weights go through torch's
restricted unpickler, and what can't be read is a `ModelError`, whatever the library raises: `errors.translated`. Rows
of data are read in `data/`, our own files where they are kept.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
import yaml
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)

from scd_lightning.config.size_limits import MODEL_FILE
from scd_lightning.errors import ModelError, translated
from scd_lightning.models.file_sizes import check_size, check_sizes, config_file
from scd_lightning.models.gguf_header import MOST_PARTS, check_header

_OF_MODEL = ("config.json", "generation_config.json")
_OF_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_PARTS = ("layer", "expert", "block")
_COPY = "copy it anew, or leave this checkpoint out"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object beside the weights.

    Raises:
        ModelError: It can't be read, is too large, or is no object.
    """
    check_size(path)
    with translated("A file beside the weights can't be read", where=path):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ModelError(
            "A file beside the weights is no JSON object", where=path, got=type(content).__name__, expected="an object"
        )
    return content


def read_card_head(card: Path) -> dict[str, str]:
    """The YAML between the first two lines of dashes of a model card, as far as it is text; empty where it has none."""
    head: object = None
    with suppress(ModelError), translated("The model card can't be read", where=card):
        check_size(card)
        parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2) if card.is_file() else []
        head = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    # Of other values, such as dates and aliases within aliases, a card of ours has no use.
    return {key: text for key, text in head.items() if isinstance(text, str)} if isinstance(head, dict) else {}


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
    check_sizes(path, revision)
    with _told(path, revision, _OF_MODEL), translated(f"{what} can't be used", where=where, got=path):
        _check_parts(path, revision, where)
        return AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)


@contextmanager
def _told(path: str | Path, revision: str | None, names: Sequence[str]) -> Iterator[None]:
    """Has an error name the file that it is about, as far as that can be told: libraries seldom do."""
    try:
        yield
    except ModelError as error:
        config = config_file(path, revision)
        files = [] if config is None else [config.parent / name for name in names]
        there = [file for file in files if file.is_file()]
        for file in there:
            _try_to_read(file)
        if not there or error.got != path:
            raise
        got = f"{', '.join(file.name for file in there)} in {path}"
        raise ModelError(error.what, where=error.where, got=got, remedy=error.remedy) from error.__cause__


def _try_to_read(file: Path) -> None:
    if file.suffix == ".json":
        read_json(file)
    with translated("A file beside the weights can't be read", where=file):
        file.read_text(encoding="utf-8")


def _check_parts(path: str | Path, revision: str | None, where: str) -> None:
    """Refuses a configuration of countless layers, which transformers would set out to make."""
    file = config_file(path, revision)
    if file is None or not file.is_file():
        return
    content: dict[str, Any] = {}
    with suppress(ModelError):  # Said better by transformers.
        content = read_json(file)
    for values in (content, *(each for each in content.values() if isinstance(each, dict))):
        for name, value in values.items():
            if isinstance(value, int) and value > MOST_PARTS and any(part in name for part in _PARTS):
                raise ModelError(
                    "The configuration asks for more parts than any model has",
                    where=f"{name} in {file}, of {where}",
                    got=value,
                    expected=f"at most {MOST_PARTS}",
                )


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
        check_sizes(path, revision)
        told = _told(path, revision, _OF_TOKENIZER)
        with told, translated("The tokenizer could not be loaded", where=where, got=path):
            return AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)
    except ModelError as error:
        # transformers' own message: it needs code of its own.
        if "trust_remote_code" not in str(error.__cause__):
            raise
        switch = f"{where.partition('.')[0]}.trust_remote_code=true"
        remedy = f"if you have read the code that comes with it, and trust it: {switch}"
        raise ModelError(error.what, where=error.where, got=error.got, remedy=remedy) from error.__cause__


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
    with translated("The weights could not be loaded as config.json describes the model", where=where, got=path):
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
    return found


def is_gguf(file: Path) -> bool:
    """Whether a file begins as GGUF files do.

    Raises:
        ModelError: It can't be opened.
    """
    with translated("The GGUF file can't be opened", where=file), file.open("rb") as stream:
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
    # Its progress bar has no switch.
    with translated("The GGUF file could not be read", where=where, got=file.name), redirect_stderr(io.StringIO()):
        check_header(file)
        check_sizes(file.parent, None)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        model, info = cast(Any, AutoModelForCausalLM).from_pretrained(
            file.parent, gguf_file=file.name, dtype=dtype, output_loading_info=True
        )
    return model, tokenizer, info


@contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """A file of tensors, opened: a context that reads each when it is asked for.

    Raises:
        ModelError: It can't be read, or one of them can't.
    """
    with translated("A file of weights can't be read", where=path, remedy=_COPY), safe_open(path, "pt") as opened:
        yield opened


def read_beginning(path: Path, count: int = 512) -> bytes:
    """The first bytes of a file.

    Raises:
        ModelError: It can't be read.
    """
    with translated("A file of weights can't be read", where=path, remedy=_COPY), path.open("rb") as stream:
        return stream.read(count)


def safetensors_size(path: Path) -> int:
    """How many bytes a safetensors file has, by its own header.

    Raises:
        ModelError: The header can't be read.
    """
    with translated("A file of weights can't be read", where=path, remedy=_COPY), path.open("rb") as stream:
        # A damaged length must not become an attempt to read as much.
        length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
        MODEL_FILE.check(length, "The head of a file of weights is larger than is read", path, ModelError)
        header = json.loads(stream.read(length))
        ends = (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        return 8 + length + max(ends, default=0)


def read_pickled(path: Path, device: str) -> Mapping[str, Any]:
    """Content of a file of torch.save, by torch's restricted unpickler.

    Args:
        path: The file.
        device: "cpu", or "meta" for shapes without contents.

    Raises:
        ModelError: It can't be read, or holds more than tensors and plain values.
    """
    try:
        with translated("A file of weights can't be read", where=path, remedy=_COPY):
            # Files older than torch 1.6 are no archives, and have to be read whole.
            content = torch.load(path, map_location=device, weights_only=True, mmap=zipfile.is_zipfile(path))
    except ModelError as error:
        if not isinstance(error.__cause__, UnpicklingError):
            raise
        named = re.search(r"GLOBAL (\S+)", str(error.__cause__))
        raise ModelError(
            "The file holds more than tensors and plain values, and reading that could run code",
            where=path,
            got=named.group(1) if named else str(error.__cause__).splitlines()[0],
            remedy="save its weights again in the program that wrote it: "
            "torch.save({'state_dict': module.state_dict(), 'global_step': step}, path)",
        ) from error.__cause__
    if not isinstance(content, Mapping):
        got = f"a {type(content).__name__} in it"
        raise ModelError("A file of weights can't be read", where=path, got=got, remedy=_COPY)
    return content
