"""A hub set through the `datasets` library, which takes seconds to import: `hub_sets` does so once a set is read."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from datasets import load_dataset
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from datasets.load import CachedDatasetModuleFactory
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from scd_lightning.data.hub_sets import FILE_FORMATS, HubSet
from scd_lightning.data.rows import shorten
from scd_lightning.errors import DataError

_SECONDS = 10
_MISSING = (404, 410)
# pandas would take words such as "None" for gaps, and guess a column's type anew for each part of a file.
_CSV_AS_IT_STANDS = {"keep_default_na": False, "engine": "python", "chunksize": 10_000_000}


def load_splits(wanted: HubSet) -> Any:
    """The splits of a set, by the names that it has for them, as the library has them.

    Raises:
        DataError: The set is unknown, gated, broken or out of reach; each says so.
    """
    try:
        _check_reachable(wanted)
        return _load(wanted)
    except GatedRepoError as error:
        raise _gated(wanted) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise _unknown(wanted) from error
    except DatasetNotFoundError as error:
        # The library has one error for both and tells them apart in words only.
        raise (_gated(wanted) if "gated" in str(error) else _unknown(wanted)) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        # HTTPError is the base of the hub's own errors and of the HTTP library's, whichever that is.
        raise wanted.error(
            f"The data set can't be reached ({shorten(' '.join(str(error).split()))})",
            "connect and unset HF_HUB_OFFLINE, or download its files elsewhere, name them train, validation and "
            "test, and pass their folder as task.data.path=",
        ) from error
    except (DatasetsError, OSError, ValueError, RuntimeError, TypeError) as error:
        raise wanted.error(
            f"The data set can't be loaded ({shorten(' '.join(str(error).split()))})",
            f"say more with name, revision or data_files: {wanted.call(revision='refs/convert/parquet')}",
            "plain JSONL, CSV or Parquet files, and a configuration's name where there are several",
        ) from error


def _check_reachable(wanted: HubSet) -> None:
    """One short try: the library itself retries an unreachable hub for half a minute."""
    if wanted.path in FILE_FORMATS:
        for address in wanted.addresses:
            if address.startswith(("http://", "https://")):
                answer = get_session().head(address, timeout=_SECONDS, follow_redirects=True)
                if answer.status_code in _MISSING:
                    raise _unknown(wanted)
    elif not os.path.isdir(wanted.path) and not _is_cached(wanted.path):
        HfApi().dataset_info(wanted.path, revision=wanted.revision, timeout=_SECONDS)


def _is_cached(path: str) -> bool:
    try:
        CachedDatasetModuleFactory(path).get_module()
    except (FileNotFoundError, AssertionError):
        return False
    return True


def _load(wanted: HubSet) -> Any:
    files = dict(wanted.data_files) if isinstance(wanted.data_files, Mapping) else wanted.data_files
    load: Any = partial(load_dataset, wanted.path, wanted.name, data_files=files, revision=wanted.revision)
    if wanted.path != "csv":
        return load()
    # Every cell as the text that it is: 007 and 1.50 would be taken for numbers, in one split and not in another.
    heads = load(streaming=True, nrows=1, **_CSV_AS_IT_STANDS)
    columns = {column: None for rows in heads.values() for row in rows for column in row}
    return load(converters=dict.fromkeys(columns, str), **_CSV_AS_IT_STANDS)


def _gated(wanted: HubSet) -> DataError:
    return wanted.error(
        "The data set is gated and this account may not read it",
        f"accept its terms at huggingface.co/datasets/{wanted.path} and set HF_TOKEN to a token of that account, or "
        "download it and pass task.data.path=",
    )


def _unknown(wanted: HubSet) -> DataError:
    return wanted.error(
        "There is no such data set",
        "check the spelling, set HF_TOKEN if the set is private, or pass a local folder as task.data.path=",
        "a hub id such as PolyAI/banking77 and a revision that it has, or an address that answers",
    )
