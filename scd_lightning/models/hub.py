"""The hub's failures told apart, before anything large is fetched."""

import os
from pathlib import Path

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from scd_lightning.errors import ModelError


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
    try:
        return _download_config(path, revision)
    except GatedRepoError as error:
        raise ModelError(
            "The model is gated and this account may not read it",
            where=where,
            got=path,
            remedy=f"accept its licence at huggingface.co/{path} and set HF_TOKEN to a token of that account",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError, HFValidationError) as error:
        # LocalEntryNotFoundError is an EntryNotFoundError too, but says only that nothing is cached.
        if isinstance(error, LocalEntryNotFoundError):
            raise _out_of_reach(path, where) from error
        raise ModelError(
            "There is no such model",
            where=where,
            got=path if revision is None else f"{path} at revision {revision}",
            expected="a hub id such as TinyLlama/TinyLlama_v1.1, or a folder with a config.json",
            remedy="check the spelling, or set HF_TOKEN if the model is private",
        ) from error
    except (OfflineModeIsEnabled, HTTPError, OSError) as error:
        # HTTPError is the base of the hub's own errors and of the HTTP library's, whichever that is.
        raise _out_of_reach(path, where) from error


def _download_config(path: str, revision: str | None) -> Path:
    if not isinstance(try_to_load_from_cache(path, "config.json", revision=revision), str):
        # One try: where nothing is cached, the download itself retries an unreachable hub for half a minute.
        get_hf_file_metadata(hf_hub_url(path, "config.json", revision=revision))
    return Path(hf_hub_download(path, "config.json", revision=revision))


def _local_config(folder: Path, where: str) -> Path:
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(
            "The folder holds no model", where=where, got=folder, expected="a transformers folder with a config.json"
        )
    if not any(path.suffix in {".safetensors", ".bin"} for path in folder.iterdir()):
        raise ModelError(
            "The folder holds no weights", where=where, got=folder, expected="*.safetensors, or else pytorch_model*.bin"
        )
    return config


def _out_of_reach(path: str, where: str) -> ModelError:
    return ModelError(
        "The model is not in the local cache and the hub can't be reached",
        where=where,
        got=path,
        remedy="connect, unset HF_HUB_OFFLINE, or give a local folder with a transformers model instead",
    )
