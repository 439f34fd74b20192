"""A job's settings as they may be shown to others: no secrets, no paths of somebody's home."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scd_lightning.config.redaction import HIDDEN, hide_in_addresses, looks_secret

# Where things lie, or how they are logged.
_LEFT_OUT = {"paths", "logger"}


def public_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without values that look secret by their name, or that are a secret of the environment.

    Args:
        settings: The resolved configuration as plain values, its groups at the top.
    """
    # Shorter values stand in ordinary words too, which would be torn.
    secrets = [value for name, value in os.environ.items() if looks_secret(name) and len(value) >= 8]
    kept = {name: value for name, value in settings.items() if name not in _LEFT_OUT}
    cleaned: dict[str, Any] = _clean(kept, secrets)
    return cleaned


def _clean(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): HIDDEN if looks_secret(str(name)) and _has_text(inner) else _clean(inner, secrets)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(inner, secrets) for inner in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    value = hide_in_addresses(value)
    home = str(Path.home())
    return value.replace(home, "~") if home != "/" else value


def _has_text(value: Any) -> bool:
    """Whether there may be a secret in a value, which token ids and the like are none of."""
    return isinstance(value, str | Mapping) or (isinstance(value, list | tuple) and any(map(_has_text, value)))


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
