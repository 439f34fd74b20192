"""Parts that a user brings along, by `_target_`: held to what such a part must offer, and named in messages."""

import copy
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from scd_lightning.config.definitions import defined_as
from scd_lightning.errors import ConfigError, translated, words_of

T = TypeVar("T")
_SEE = "docs/architecture.md has an example of each part under How to add"


def refused(
    what: str, part: object, *, where: str, got: object, expected: str, remedy: str | None = None
) -> ConfigError:
    """The message for a part that does not offer what it must.

    Args:
        what: What is wrong, one sentence without a full stop that says what kind of part it is.
        part: The object, its class or function.
        where: The setting that names it.
        got: What it has, or has returned.
        expected: What it must.
        remedy: What to do about it.
    """
    return ConfigError(what, where=f"{where}, {defined_as(part)}", got=got, expected=expected, remedy=remedy or _SEE)


def require_flag(part: object, name: str, where: str, means: str) -> None:
    """Refuses a part without an attribute that is True or False.

    Args:
        part: The object.
        name: The attribute.
        where: The setting that names it.
        means: What it says, for the message.
    """
    flag = getattr(part, name, None)
    if not isinstance(flag, bool):
        got = repr(flag) if hasattr(part, name) else "none"
        raise refused(f"A part lacks {name}", part, where=where, got=got, expected=f"{name} = True or False: {means}")


def copy_to_try(part: T) -> T | None:
    """A copy that may be called without leaving a trace in the part; None of one that can't be copied."""
    with suppress(Exception):
        return copy.deepcopy(part)
    return None


@contextmanager
def tried(part: object, where: str) -> Iterator[None]:
    """Has an error of a part that is tried name the part, and the line of it.

    Args:
        part: The object.
        where: The setting that names it.
    """
    name = f"{where}, {defined_as(part)}"
    try:
        with translated("A part fails when it is tried, before anything is trained", where=name, kind=ConfigError):
            yield
    except ConfigError as error:
        if error.__cause__ is None:
            raise
        last = traceback.extract_tb(error.__cause__.__traceback__)[-1]
        got = f"{words_of(error.__cause__)} ({last.filename}:{last.lineno})"
        raise ConfigError(error.what, where=error.where, got=got, remedy=_SEE) from error.__cause__
