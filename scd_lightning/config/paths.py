"""Settings that are paths, wherever they stand: what is written for them, and what it means."""

import os
from collections.abc import Mapping
from typing import Any

from scd_lightning.errors import ConfigError

PATHS = (
    *("paths.store", "paths.run", "task.data.path", "task.data.unlabelled", "anchor.path", "teacher.trajectory"),
    *(f"{model}.{name}" for model in ("teacher", "student") for name in ("path", "gguf")),
)


def with_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose paths have the user's folder in the place of `~`, which no shell puts there behind a `=`.

    Raises:
        ConfigError: A path is empty, as where a variable of the shell is not set: it would mean the current folder. Or
            its name is of bytes that are no text.
    """
    found = dict(settings)
    for place in PATHS:
        found = _with(found, place.split("."), place)
    return found


def _with(values: Any, names: list[str], place: str) -> Any:
    if not names:
        return [_meant(each, place) for each in values] if isinstance(values, list) else _meant(values, place)
    if not isinstance(values, dict) or names[0] not in values:
        return values
    return {**values, names[0]: _with(values[names[0]], names[1:], place)}


def _meant(value: Any, place: str) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ConfigError(
            "A path is empty",
            where=place,
            got=repr(value),
            expected="a path",
            remedy="set the variable that was meant, such as SCD_STORE for paths.store, or leave the setting out",
        )
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ConfigError(
            "A path has bytes that are no text in this locale, and could not be written down",
            where=place,
            got=ascii(value),
            expected="a name in UTF-8",
            remedy="rename it, or set a UTF-8 locale, such as LC_ALL=C.UTF-8",
        )
    return os.path.expanduser(value) if value.startswith("~") else value
