"""A job's settings as they may be shown to others: no secrets, no paths of somebody's home."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ANYWHERE = {"secret", "secrets", "password", "passwd", "passphrase", "credential", "credentials", "apikey", "pwd"}
# `max_new_tokens` and `num_key_value_heads` are no secrets: these give away a name at its end only.
_LAST = {"key", "token"}
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
# Where things lie, or how they are logged.
_LEFT_OUT = {"paths", "logger"}
HIDDEN = "(hidden)"


def looks_secret(name: str) -> bool:
    """Whether a name is that of a secret.

    >>> [looks_secret(name) for name in ("hf_token", "apiKey", "max_new_tokens", "num_key_value_heads")]
    [True, True, False, False]
    """
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_")
    return bool(_ANYWHERE & set(words)) or words[-1] in _LAST


def public_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without values that look secret by their name, or that are a secret of the environment.

    Args:
        settings: The resolved configuration as plain values, its groups at the top.
    """
    secrets = [value for name, value in os.environ.items() if looks_secret(name) and len(value) >= 8]
    kept = {name: value for name, value in settings.items() if name not in _LEFT_OUT}
    cleaned: dict[str, Any] = _clean(kept, secrets)
    return cleaned


def _clean(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): HIDDEN if looks_secret(str(name)) and isinstance(inner, str) else _clean(inner, secrets)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(inner, secrets) for inner in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    value = _LOGIN_IN_URL.sub(f"{HIDDEN}@", value)
    home = str(Path.home())
    return value.replace(home, "~") if home != "/" else value


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
