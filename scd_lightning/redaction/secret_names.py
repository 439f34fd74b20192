"""Names of settings, variables and arguments whose values are secrets."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

# As a word of a name, wherever it stands.
_WORDS = {"pwd", "passcode", "creds", "authorization", "bearer", "jwt", "oauth", "cookie", "cookies", "dsn", "webhook"}
# As a part of a word, too: PGPASSWORD.
_PARTS = ("password", "passwd", "passphrase", "secret", "credential", "apikey", "apitoken")
# `max_new_tokens` and `num_key_value_heads` are no secrets: these give away a name at its end only, as do those of
# several where the word before says what for.
_LAST = {"key", "token", "signature", "sig", "pass", "pat", "auth", "sas"}
_SEVERAL = {"keys", "tokens"}
_FOR = {"api", "access", "auth", "private", "refresh", "hf"}
# What may stand behind the end: MY_TOKEN_V2.
_EDITION = re.compile(r"v?\d+|old|new|prod|production|dev|test|staging|main|backup|live|current|header|b64|base64|env")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+")
# Settings that hold names which the data have: a column may be called `token`, a label `m-key`.
_OF_DATA = {"columns", "labels"}
# What has a key or a token that is none: `eos_token`, `sort_key`.
_OTHERS = {
    "bos",
    "eos",
    "pad",
    "unk",
    "sep",
    "cls",
    "mask",
    "boi",
    "eoi",
    "begin",
    "end",
    "start",
    "stop",
    "special",
} | {
    *("new", "next", "last", "first", "per", "each", "image", "audio", "video", "additional"),
    *("sort", "primary", "foreign", "public", "cache", "state", "dict", "column", "label", "index", "group", "lookup"),
}


@lru_cache(maxsize=4096)
def looks_secret(name: str) -> bool:
    """Whether a name, or one of the names that are joined by dots in it, is that of a secret.

    >>> [looks_secret(name) for name in ("hf_token", "apiKey", "PGPASSWORD", "MY_TOKEN_V2", "credentials.user")]
    [True, True, True, True, True]
    >>> [looks_secret(name) for name in ("max_new_tokens", "num_key_value_heads", "eos_token", "author", "sort_key")]
    [False, False, False, False, False]
    """
    return any(_is_secret(part) for part in name.split("."))


def is_of_data(setting: str) -> bool:
    """Whether a setting's names and values are the data's own, and no secrets whatever they are called.

    >>> [is_of_data(name) for name in ("task.data.columns", "task.data.columns.token", "labels", "teacher.token")]
    [True, True, True, False]
    """
    return not _OF_DATA.isdisjoint(setting.split("."))


def is_certain(name: str) -> bool:
    """Whether a name is that of a secret whatever its value looks like, as a password's is, and a key's is not."""
    return _VARIABLE.fullmatch(name) is not None or any(_says_so(_words(part)) for part in name.split("."))


def names_another(settings: Mapping[Any, Any]) -> bool:
    """Whether settings are a name and a value, as in {name: DB_PASSWORD, value: ...}, and the name is a secret's."""
    return "value" in settings and any(looks_secret(str(settings.get(each, ""))) for each in ("name", "key"))


def is_flag(value: Any) -> bool:
    """Whether an item of a list is a flag such as --password, behind which a secret stands."""
    return isinstance(value, str) and value.startswith("--") and "=" not in value and looks_secret(value)


def _is_secret(name: str) -> bool:
    words = _words(name)
    while len(words) > 1 and _EDITION.fullmatch(words[-1]):
        words.pop()
    before = words[-2] if len(words) > 1 else ""
    if _says_so(words) or words[-1] in _SEVERAL and before in _FOR:
        return True
    return words[-1] in _LAST and before not in _OTHERS


def _says_so(words: list[str]) -> bool:
    return bool(_WORDS & set(words)) or any(part in "".join(words) for part in _PARTS)


def _words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", apart.lower()) if word] or [""]
