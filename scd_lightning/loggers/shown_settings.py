"""A job's settings as they may be shown to others: no secrets, no paths of somebody's home."""

import os
from collections.abc import Mapping
from typing import Any

from scd_lightning.redaction.cleaning import clean

# Where things lie, or how they are logged.
_LEFT_OUT = {"paths", "logger"}


def public_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without secrets, and with ~ for the user's home.

    Args:
        settings: The resolved configuration as plain values, its groups at the top.
    """
    cleaned: dict[str, Any] = clean({name: value for name, value in settings.items() if name not in _LEFT_OUT})
    home = os.path.expanduser("~")  # Which stays as it is where the system knows of none.
    return cleaned if home in ("/", "~") else _without(cleaned, home)


def _without(value: Any, home: str) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _without(inner, home) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without(inner, home) for inner in value]
    return value.replace(home, "~") if isinstance(value, str) else value


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names; lists stay whole.

    >>> flat({"a": {"b": 1, "c": [2]}})
    {'a.b': 1, 'a.c': [2]}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
