"""Whether a pretrained model's weights are whole and fit its architecture, before any of them is loaded."""

import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from scd_lightning.errors import ModelError
from scd_lightning.models.foreign import read_json, read_model
from scd_lightning.models.hub import fetch_config
from scd_lightning.models.spec import ModelSpec
from scd_lightning.models.tensor_files import check_loaded, read_infos, read_tensors, require_finite
from scd_lightning.models.weight_files import check_plain, check_shards, find_weights, first_few

_DAMAGED = "download or copy the model anew; where it was tuned, take weights of before it diverged"


def stored_files(spec: ModelSpec) -> tuple[Path, ...]:
    """The files that a pretrained model's weights are read from.

    Returns:
        Empty for a model from scratch, and for one of the hub of which some are still to be fetched.

    Raises:
        ModelError: There are none, some are missing and can't be fetched, or some are pickled, unasked.
    """
    if spec.path is None:
        return ()
    config = fetch_config(spec.path, spec.revision, f"{spec.role}.path")
    if (config.parent / "adapter_config.json").is_file():
        raise _with_adapters(spec, config.parent)
    # A model may name its file itself.
    named = read_json(config).get("transformers_weights") or "model.safetensors"
    safe, pickled = [str(named).removesuffix(".index.json")], ["pytorch_model.bin"]
    files = find_weights(config.parent, safe + pickled if spec.allow_pickle else safe)
    if Path(spec.path).is_dir():
        if not files:
            raise _no_weights(spec, config.parent)
        check_shards(files)
    elif not files or not all(file.is_file() for file in files):
        if constants.HF_HUB_OFFLINE:
            raise _not_cached(spec, [file.name for file in files if not file.is_file()])
        return ()
    if not spec.allow_pickle:
        check_plain(files, f"{spec.role}.path", spec.path)
    return files


def _no_weights(spec: ModelSpec, folder: Path) -> ModelError:
    names = sorted(path.name for path in folder.iterdir() if path.suffix in {".safetensors", ".bin"})
    return ModelError(
        "The folder holds no weights of a whole model",
        where=f"{spec.role}.path",
        got=f"{first_few(names, 4)} in {folder}",
        expected="model.safetensors; or its shards, and model.safetensors.index.json, which says what is in them",
        remedy="download or copy what is missing; adapters go into their base model first (merge_and_unload)",
    )


def _with_adapters(spec: ModelSpec, folder: Path) -> ModelError:
    return ModelError(
        "The folder holds adapters too, which transformers would put on the model, or on another one that they name",
        where=f"{spec.role}.path",
        got=f"adapter_config.json in {folder}",
        expected="a whole model alone",
        remedy="merge them into it (peft: merge_and_unload, save_pretrained) and give that folder; or move "
        "adapter_config.json elsewhere, to take the model without them",
    )


def _not_cached(spec: ModelSpec, missing: list[str]) -> ModelError:
    return ModelError(
        "The model's weights are not all in the local cache, and the hub is not to be asked",
        where=f"{spec.role}.path",
        got=f"{spec.path} without {first_few(missing, 3) or 'weights'}",
        remedy="connect and unset HF_HUB_OFFLINE, or give a local folder with a transformers model instead",
    )


def check_stored(spec: ModelSpec) -> None:
    """Holds the files against each other and against the architecture, by their headers.

    Raises:
        ModelError: One is missing, cut off or something else, or the tensors are not those of the architecture.
    """
    files = stored_files(spec)
    # Each by itself, so that what is said of it names it.
    read_infos(files)
    # Codes of quantized weights are of another shape until a package has read them.
    if not files or "quantization_config" in read_json(files[0].parent / "config.json"):
        return
    _, info = read_model(
        files[0].parent,
        where=spec.name,
        trust_remote_code=spec.trust_remote_code,
        allow_pickle=spec.allow_pickle,
        dtype="auto",
        device_map="meta",
        ignore_mismatched_sizes=True,  # They are told of below.
    )
    check_loaded(info, f"{spec.role}.path", spec.path)
    if unused := sorted(info["unexpected_keys"]):
        warnings.warn(
            f"{spec.role}.path: {len(unused)} tensors of {spec.path} are none of the model that its config.json "
            f"describes and are not read, such as {first_few(unused, 2)}.",
            stacklevel=2,
        )


def check_numbers(spec: ModelSpec) -> None:
    """Reads a pretrained model's weights, a tensor at a time; files that were found good once are not read again.

    Raises:
        ModelError: One is not a finite number.
    """
    for file in stored_files(spec):
        status = file.stat()
        _check_file(file, status.st_size, status.st_mtime_ns)


@cache
def _check_file(file: Path, size: int, changed: int) -> None:
    for name, tensor in read_tensors([file]):
        require_finite(tensor, f"{name} in {file}", _DAMAGED)


def stored_numbers(files: Iterable[Path]) -> Iterable[Any]:
    """The tensors of plain floating-point numbers in files, one at a time."""
    for file in files:
        plain = {name for name, info in read_infos([file]).items() if info.plain}
        yield from (tensor for name, tensor in read_tensors([file]) if name in plain)
