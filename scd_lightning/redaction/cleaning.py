"""The one function that whatever is printed, written or sent passes, and its forms for commands and for settings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from scd_lightning.redaction.known_secrets import known, variable_of
from scd_lightning.redaction.secret_names import is_certain, is_flag, is_of_data, looks_secret, names_another
from scd_lightning.redaction.secret_places import HIDDEN, hide, hide_value, placed, without_defaults
from scd_lightning.redaction.secret_shapes import shaped

_OVERRIDE = re.compile(r"((?:\+\+|\+|~|--)?[\w./@-]+)=(.*)", re.DOTALL)
# What names code, and not what somebody keeps to themselves: a setting without it would be none.
_CODE = ("_target_",)


def clean(value: Any) -> Any:
    """The same without secrets: a text, or settings and results with texts in them, whose numbers stay as they are.

    Args:
        value: Anything; mappings and lists are gone through.
    """
    if isinstance(value, Mapping):
        named = names_another(value)
        return {clean(name): _clean_setting(_called(str(name), named), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_clean_items(value)) if type(value) in (list, tuple) else list(_clean_items(value))
    if not isinstance(value, str):
        return value
    return clean_override(value) if _OVERRIDE.fullmatch(value) else clean_text(value)


def clean_text(text: str, *, strict: bool = False) -> str:
    """A text without secrets.

    Args:
        text: A message, a log's line, a traceback.
        strict: As in `placed`.

    >>> clean_text("https://me:p@ss@host/a.csv?part=1&auth=abc#access_token=def")
    'https://(hidden)@host/a.csv?part=1&auth=(hidden)#access_token=(hidden)'
    """
    text = without_defaults(text)
    return hide(text, chain(known(text), placed(text, strict=strict), shaped(text)))


def clean_override(text: str) -> str:
    """An override without secrets; its setting's name stays.

    >>> clean_override("+callbacks.mine.token=abc"), clean_override("+callbacks.mine.token='${oc.env:MINE}'")
    ('+callbacks.mine.token=(hidden)', "+callbacks.mine.token='${oc.env:MINE}'")
    """
    found = _OVERRIDE.fullmatch(text)
    if found is None:
        return clean_text(text, strict=True)
    name, value = clean_text(found[1]), found[2]
    if is_of_data(found[1]):
        return f"{name}={clean_text(value)}"
    return f"{name}={hide_value(found[1], value) if looks_secret(found[1]) else clean_text(value, strict=True)}"


def clean_words(words: Sequence[str]) -> tuple[list[str], str]:
    """A command line's words without secrets, and what to say of it: which variables to set where some were hidden.

    Args:
        words: The words, as the shell has read them.
    """
    cleaned = list(_clean_items(words))
    told = [f"{variable} in {name}" for name, variable in _variables(words, cleaned)]
    remark = f"{HIDDEN} is a secret that is written nowhere: set a variable, and write {', '.join(told)}"
    return cleaned, remark if told else ""


def remarks(before: Any, after: Any) -> str:
    """Comment lines for a YAML file of settings: which variables to set where some were hidden; "" where none were.

    Args:
        before: The settings, or a list of overrides.
        after: The same, cleaned.
    """
    told = [f"#   {name}: {variable}\n" for name, variable in _variables(before, after)]
    if not told:
        return ""
    return f"# {HIDDEN} is a secret that is written nowhere. To use this again, set a variable and write:\n" + "".join(
        told
    )


def _called(name: str, named: bool) -> str:
    """What a setting stands for."""
    return "password" if named and name == "value" else name


def _clean_setting(name: str, value: Any) -> Any:
    if name in _CODE:
        return value
    if is_of_data(name) and isinstance(value, Mapping):
        return {clean(each): clean(inner) for each, inner in value.items()}
    if isinstance(value, str) and looks_secret(name):
        return hide_value(name, value)
    if looks_secret(name) and (_has_text(value) or (_is_number(value) and is_certain(name))):
        return HIDDEN
    return clean(value)


def _clean_items(values: Sequence[Any]) -> Iterator[Any]:
    """Items of a list, in which a flag may stand before its value."""
    flag = ""
    for value in values:
        yield hide_value(flag, value) if flag and isinstance(value, str) else clean(value)
        flag = value if is_flag(value) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_text(value: Any) -> bool:
    """Whether there may be a secret in a value, which token ids and the like are none of."""
    return isinstance(value, str | Mapping) or (isinstance(value, list | tuple) and any(map(_has_text, value)))


def _variables(before: Any, after: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Settings that something was hidden in, each with how a variable is named in its place."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for each, inner in before.items():
            yield from _variables(inner, after.get(clean(each)), f"{name}.{each}" if name else str(each))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        for place, (inner, cleaned) in enumerate(zip(before, after, strict=True)):
            yield from _variables(inner, cleaned, f"{name}[{place}]" if name else "")
    elif isinstance(after, str) and HIDDEN in after:
        override = None if name and not name.endswith("]") else _OVERRIDE.fullmatch(str(before))
        name, value = (override[1], override[2]) if override else (name, str(before))
        proposed = re.sub(r"\W+", "_", name).strip("_").upper() or "SECRET"
        # Of a value with more in it, no variable may be the one of all that is hidden there.
        held = variable_of(value) if not override or after.endswith(f"={HIDDEN}") else None
        yield name, f"${{oc.env:{held or proposed}}}"
