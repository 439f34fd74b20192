"""What a run reads must not be what it takes away or writes over."""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scd_lightning.errors import ConfigError

# Where a run writes; all else that names a path, it may read.
_STORE = "paths.store"
_OUTPUTS = ("paths.run", "logger", "callbacks")


def check_inputs(settings: Mapping[str, Any], folder: Path, names: Iterable[str]) -> None:
    """Makes sure that what a run takes away from its folder, or writes there, is nothing that it reads.

    Args:
        settings: The run's.
        folder: Its folder.
        names: What goes or is written, by its names there.

    Raises:
        ConfigError: A setting names such a file, or the folder that it is in.
    """
    root = folder.resolve()
    going = [(folder / name).resolve() for name in names]
    for key, text in _texts(settings):
        for path in [Path(text).resolve()] if key == _STORE else _paths(text):
            below = path != root and path.is_relative_to(root)
            if below and any(each.is_relative_to(path) or path.is_relative_to(each) for each in going):
                raise ConfigError(
                    "What the run reads lies where it writes, and would be gone",
                    where=key,
                    got=text,
                    remedy="choose another folder for the run with hydra.run.dir=, or copy this elsewhere",
                )


def _texts(settings: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The texts in settings, with where they stand."""
    if key.startswith(_OUTPUTS):
        return
    if isinstance(settings, str):
        yield key, settings
    elif isinstance(settings, Mapping):
        for name, value in settings.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _texts(value, key)


def _paths(text: str) -> list[Path]:
    """What a setting names that is there; most texts name nothing."""
    try:
        found = glob.glob(text) if glob.has_magic(text) else [os.path.expanduser(text)]
        return [Path(each).resolve() for each in found if each and Path(each).exists()]
    except (OSError, ValueError):  # Too long for a path, or with a zero in it.
        return []
