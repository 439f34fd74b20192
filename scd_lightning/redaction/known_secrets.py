"""Texts that this process has come to know as secrets: they are hidden wherever they turn up."""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from scd_lightning.redaction.secret_names import is_flag, is_of_data, looks_secret, names_another
from scd_lightning.redaction.secret_places import HIDDEN, hide_value, logins, placed
from scd_lightning.redaction.secret_shapes import Span

# Shorter ones stand in ordinary words too, which would be torn.
LEAST = 8
# A line of a text of many, such as a private key's.
_LEAST_LINE = 16
_PACKAGE = Path(__file__).parents[1]
_BETWEEN = re.compile(r"[\[\]{},'\"]\s*:?\s*")
_WORD = re.compile(r"[A-Za-z_][\w.-]{0,39}")

# Secret -> the variable that it came from, where it is known.
_learnt: dict[str, str | None] = {}


def learn(value: str, variable: str | None = None) -> None:
    """Takes a text for a secret from now on, unless it is too short, a path that is there, or no secret to anyone.

    Args:
        value: The text.
        variable: The variable of the environment that holds it.
    """
    # What has a list in it may be taken apart.
    parts = _BETWEEN.split(value) if value.startswith(("[", "{")) else []
    for each in (value, *parts):
        if _may_be_secret(each) and (variable or each not in _learnt):
            _learnt[each] = variable


def learn_from(values: Any, name: str = "") -> None:
    """Learns the secrets in settings: texts under the name of one, and those in other texts.

    Args:
        values: Settings, nested, or one of them.
        name: What it is called.
    """
    if isinstance(values, Mapping) and is_of_data(name):
        for inner in values.values():
            learn_from(inner)
    elif isinstance(values, Mapping):
        named = names_another(values)
        for each, inner in values.items():
            learn_from(inner, name if looks_secret(name) else "password" if named and each == "value" else str(each))
    elif isinstance(values, list | tuple):
        for before, inner in zip(["", *values], values, strict=False):
            learn_from(inner, before if is_flag(before) else name)
    elif isinstance(values, str):
        if looks_secret(name) and hide_value(name, values) == HIDDEN:
            learn(values)
        learn_from_text(values)


def learn_from_text(text: str, *, strict: bool = False) -> None:
    """Learns the secrets in a text.

    Args:
        text: An argument of a command line, or any other.
        strict: As in `placed`.
    """
    spans = set(logins(text))
    for start, end in spans:
        _learn_login(text[start:end])
    for start, end in set(placed(text, strict=strict)) - spans:
        learn(text[start:end].strip("'\""))


def forget_all() -> None:
    """Knows those of the environment alone."""
    _learnt.clear()


def variable_of(text: str) -> str | None:
    """The variable whose value is the secret in a text; None where there is none."""
    holders = {value: name for name, value in os.environ.items()}
    found = sorted((value for value in _all() if value in text), key=len, reverse=True)
    return next((name for value in found if (name := _all()[value] or holders.get(value))), None)


def known(text: str) -> Iterator[Span]:
    """Where there are such secrets, as they are or as addresses, JSON, Python and one line have them."""
    pattern = _pattern(frozenset(_all()))
    if pattern is not None:
        yield from (found.span() for found in pattern.finditer(text))


def _all() -> dict[str, str | None]:
    return dict(_of_environment(tuple(os.environ.items()))) | _learnt


@lru_cache(maxsize=4)
def _of_environment(variables: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Values of variables that are called so, and passwords of addresses, as proxies have them."""
    named = [(value, name) for name, value in variables if looks_secret(name) and _may_be_secret(value)]
    passwords = [
        (password, name)
        for name, value in variables
        for start, end in logins(value)
        if _may_be_secret(password := value[start:end].partition(":")[2])
    ]
    return (*named, *passwords)


def _learn_login(login: str) -> None:
    user, _, password = login.partition(":")
    learn(password or user)
    if password:  # As the header has it that is made of it.
        learn(base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode())


def _may_be_secret(value: str) -> bool:
    return len(value) >= LEAST and value != HIDDEN and not _is_place(value) and not _is_public(value)


@lru_cache(maxsize=256)
def _is_place(value: str) -> bool:
    try:
        return os.path.isabs(value) and os.path.exists(value)
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _is_public(value: str) -> bool:
    """Whether it is a word of this package's own, as `bf16-mixed` is, which results are read by."""
    return _WORD.fullmatch(value) is not None and value in _vocabulary()


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    own = [file for file in _PACKAGE.rglob("*.py") if file.parent != Path(__file__).parent]
    # In a clone it lies beside the package, installed within.
    conf = [file for place in (_PACKAGE, _PACKAGE.parent) for file in (place / "conf").rglob("*.yaml")]
    files = [*own, *conf]
    return frozenset(word for file in files for word in re.findall(r"[\w.-]+", file.read_text(encoding="utf-8")))


@lru_cache(maxsize=8)
def _pattern(values: frozenset[str]) -> re.Pattern[str] | None:
    forms = {form for value in values for form in _forms(value) if len(form) >= LEAST}
    return re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True)))) if forms else None


def _forms(value: str) -> Iterable[str]:
    as_json = [json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= _LEAST_LINE]
    in_overrides = [value.replace(mark, f"\\{mark}") for mark in "'\""]
    in_addresses = [quote(value, safe=""), quote(value), quote_plus(value), unquote(value)]
    return {value, repr(value)[1:-1], " ".join(value.split()), *as_json, *lines, *in_overrides, *in_addresses}
