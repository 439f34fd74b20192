"""The hub's failures told apart, and what is not read or run unasked, before anything large is fetched."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import (
    HfApi,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from scd_lightning.errors import ModelError

_SAFE = {"model.safetensors", "model.safetensors.index.json"}
_PICKLED = {"pytorch_model.bin", "pytorch_model.bin.index.json"}
_PICKLED_TOO = _PICKLED | {"adapter_model.bin"}
_CONFIGS = ("config.json", "adapter_config.json")
# Errors that are not the hub's: no room, or no right to write.
_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
_SECONDS = 10
# Characters of what the hub says.
_WORDS = 200
_UNKNOWN = (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError, HFValidationError)


def fetch_config(path: str, revision: str | None, where: str) -> Path:
    """The config.json of a local folder or a hub model, from the cache where it is there.

    Args:
        path: Local folder or hub id.
        revision: Branch, tag or commit, or None.
        where: The argument that named it, for messages.

    Raises:
        ModelError: The model is unknown, gated, or out of reach; each says so.
    """
    if os.path.isdir(path):
        return _local_config(Path(path), where)
    with _told(path, revision, where):
        if not isinstance(try_to_load_from_cache(path, "config.json", revision=revision), str):
            # One try: where nothing is cached, the download itself retries an unreachable hub for half a minute.
            get_hf_file_metadata(hf_hub_url(path, "config.json", revision=revision))
        return Path(hf_hub_download(path, "config.json", revision=revision))


def fetch_folder(path: str, where: str, revision: str | None = None, *, allow_pickle: bool = False) -> Path:
    """A hub model, whole, or what it has of adapters, as a folder of the hub's cache; without folders in it.

    Args:
        path: Its hub id.
        where: The argument that named it, for messages.
        revision: Branch, tag or commit, or None.
        allow_pickle: Fetch weights in pickled form, too.

    Raises:
        ModelError: The model is unknown, gated, out of reach, or pickled alone; each says so.
        OSError: This machine has no room for it, or may not write where it goes.
    """
    wanted = [f"*.{kind}" for kind in ("json", "safetensors", "model", "jinja", *(["bin"] if allow_pickle else []))]
    with _told(path, revision, where):
        cached = (try_to_load_from_cache(path, name, revision=revision) for name in _CONFIGS)
        if not any(isinstance(each, str) for each in cached):
            # One try, as above.
            names = _listed(path, revision)
            safe = allow_pickle or any(name.endswith(".safetensors") for name in names)
            if not safe and (pickled := names & _PICKLED_TOO):
                remedy = "have torch's restricted unpickler read them as they are: teacher.allow_pickle=true"
                raise _pickled(pickled, path, where, "safetensors", remedy)
        folder = snapshot_download(path, revision=revision, allow_patterns=wanted, ignore_patterns=["*/*"])
    return Path(folder)


def _listed(path: str, revision: str | None) -> set[str]:
    """The names of a hub model's files."""
    return {file.rfilename for file in HfApi().model_info(path, revision=revision, timeout=_SECONDS).siblings or ()}


def _pickled(names: Iterable[str], path: str, where: str, expected: str, remedy: str) -> ModelError:
    """The message for weights that are there in pickled form alone."""
    return ModelError(
        "The model's weights are pickled, a format that may carry code",
        where=where,
        got=f"{', '.join(sorted(names))} in {path}, and no safetensors",
        expected=expected,
        remedy=remedy,
    )


@contextmanager
def _told(path: str, revision: str | None, where: str) -> Iterator[None]:
    """Turns what goes wrong between here and the hub into words."""
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            f"The model is gated and this account may not read it ({_words(error)})",
            where=where,
            got=path,
            remedy=f"accept its licence at huggingface.co/{path} and set HF_TOKEN to a token of that account; a "
            "fine-grained token has to allow reading gated repositories",
        ) from error
    # HTTPError is the base of the hub's own errors and of the HTTP library's, whichever that is.
    except (*_UNKNOWN, HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
            raise
        # LocalEntryNotFoundError is an EntryNotFoundError too, but says only that nothing is cached.
        if isinstance(error, _UNKNOWN) and not isinstance(error, LocalEntryNotFoundError):
            raise ModelError(
                "There is no such model",
                where=where,
                got=path if revision is None else f"{path} at revision {revision}",
                expected="a hub id such as TinyLlama/TinyLlama_v1.1, or a folder with a config.json",
                remedy="check the spelling, or set HF_TOKEN, to a token that is still valid, if the model is private",
            ) from error
        what, remedy = _refusal(error) or (
            "The model is not in the local cache and the hub can't be reached",
            "connect, unset HF_HUB_OFFLINE, or give a local folder with a transformers model instead",
        )
        raise ModelError(what, where=where, got=path, remedy=remedy) from error


def _refusal(error: Exception) -> tuple[str, str] | None:
    """What the hub says where it answers, and neither has the model nor lacks it, with a remedy; else None."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        what, remedy = "The hub refuses the token", "set HF_TOKEN to a valid one that may read this model, or unset it"
    elif status == 429:
        what = "The hub answers this machine no more for a while"
        remedy = "wait, or set HF_TOKEN, whose account may ask more"
    elif status is not None and status >= 500:
        what = "The hub has troubles of its own"
        remedy = "try again later, or give a local folder with a transformers model"
    else:
        return None
    return f"{what} ({_words(error)})", remedy


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:_WORDS]


def _local_config(folder: Path, where: str) -> Path:
    config = folder / "config.json"
    if not config.is_file() and (folder / "adapter_config.json").is_file():
        raise ModelError(
            "The folder holds adapters, and no model that they are for",
            where=where,
            got=folder,
            expected="a transformers folder with a config.json",
            remedy="name the model they were tuned on, and them as teacher.trajectory or anchor.path; or merge them "
            "into it (peft: merge_and_unload)",
        )
    if not config.is_file():
        inside = next((each.parent for each in sorted(folder.glob("*/config.json"))), None)
        raise ModelError(
            "The folder holds no model",
            where=where,
            got=folder,
            expected="a transformers folder with a config.json",
            remedy=None if inside is None else f"name the folder in it that does: {inside}",
        )
    if not any(path.suffix in {".safetensors", ".bin"} for path in folder.iterdir()):
        raise ModelError(
            "The folder holds no weights", where=where, got=folder, expected="*.safetensors, or else pytorch_model*.bin"
        )
    return config


def check_weights(path: str, revision: str | None, config: Path, role: str) -> None:
    """Refuses a model whose weights are there in pickled form alone; where no list of its files can be had, none.

    Args:
        path: Local folder or hub id.
        revision: Branch, tag or commit, or None.
        config: Its config.json, as `fetch_config` gives it.
        role: The part of the configuration that names the model.

    Raises:
        ModelError: There is pytorch_model.bin, or its shards, and no model.safetensors.
    """
    names = {file.name for file in config.parent.iterdir()}
    if not names & _SAFE and not os.path.isdir(path):
        # The cache knows of what was fetched already.
        with suppress(HTTPError, OSError):
            names |= _listed(path, revision)
    if names & _SAFE:
        return
    if pickled := names & _PICKLED:
        convert = (
            f"for each in AutoModelForCausalLM, AutoTokenizer: each.from_pretrained({path!r}).save_pretrained(folder)"
        )
        remedy = (
            f"convert them once, on a machine where nothing can be lost (transformers: {convert}), and give that "
            f"folder; or have torch's restricted unpickler read them as they are: {role}.allow_pickle=true"
        )
        raise _pickled(pickled, path, f"{role}.path", "model.safetensors, or its shards", remedy)


def check_own_code(config: Path, role: str) -> None:
    """Refuses a model that can't be had without running code of its own.

    One that brings code for an architecture that transformers has too is had without: transformers' own is taken.

    Args:
        config: Its config.json.
        role: The part of the configuration that names the model.

    Raises:
        ModelError: Its config.json asks for code (auto_map), and transformers knows no such architecture.
    """
    # Not above: what is at a path is looked for before frameworks are loaded.
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from scd_lightning.models.foreign import read_json

    try:
        content = read_json(config)
    except ModelError:  # Said better by transformers.
        return
    asked = content.get("auto_map")
    if not asked or content.get("model_type") in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return
    raise ModelError(
        "The model needs code of its own, which is not run unasked",
        where=f"{role}.path",
        got=f"auto_map in {config}: {asked}",
        expected="an architecture that transformers has",
        remedy=f"if you have read that code and trust it: {role}.trust_remote_code=true, with {role}.revision=<commit> "
        "so that it stays what you have read",
    )
