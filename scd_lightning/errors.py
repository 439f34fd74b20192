"""Errors that a user can mend, each a paragraph that says what, where, got, expected and the remedy.

They end a run with exit code 2, without a traceback. Everything else that is raised is a defect of this
package and keeps its traceback. `exit_code` has the number of each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scd_lightning.redaction.cleaning import clean_text

# EX_TEMPFAIL of sysexits.h: try the same again.
PREEMPTED = 75


class Preempted(BaseException):
    """A signal ends the run: no error, so that whoever catches those lets it pass, and a sweep ends too.

    Args:
        name: The signal, such as "SIGTERM".
        exit_code: What the process is to end with.

    Attributes:
        signal: The name.
    """

    def __init__(self, name: str, exit_code: int = PREEMPTED) -> None:
        super().__init__(name, exit_code)
        self.signal, self.exit_code = name, exit_code

    def __str__(self) -> str:
        return self.signal


def interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C ended the process; Lightning turns it into an exit with code 1."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)


def recorded_as(name: str) -> "type[ScdError] | None":
    """The class of an error that a process or a job has recorded by its name; None of a defect."""
    kind = globals().get(name)
    return kind if isinstance(kind, type) and issubclass(kind, ScdError) else None


def exit_code(error: BaseException | type[BaseException] | None) -> int:
    """What a process ends with: 0 without an error, 2 for what the user can mend, 1 for a defect.

    A signal's is the one that the run was told to end with, for a cluster to start it again; Ctrl-C's is the shell's.

    Args:
        error: What ended it, or its class where no more is known.
    """
    if error is None:
        return 0
    if isinstance(error, Preempted):
        return error.exit_code
    if isinstance(error, BaseException):
        return 130 if interrupted(error) else exit_code(type(error))
    return 2 if issubclass(error, ScdError) and not issubclass(error, RankDied) else 1


class ScdError(Exception):
    """A mistake in the input that the user can mend.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: The argument, file and line, or model it concerns.
        got: The value that was found.
        expected: The value that would have been right.
        remedy: What to do about it, one sentence without a full stop.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        got: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what, self.where, self.got, self.expected, self.remedy = what, where, got, expected, remedy
        told = {"Where": where, "Got": got, "Expected": expected, "Remedy": remedy}
        parts = (f"{label}: {value}." for label, value in told.items() if value is not None)
        super().__init__(" ".join([f"{what}.", *parts]))


class ConfigError(ScdError):
    """An option or a combination of options that can't work."""


class DataError(ScdError):
    """A data file or row that can't be used.

    Args:
        what: As in `ScdError`, like all others.
        row: The `data.rows.Row` that alone is at fault; None where it takes more than leaving out one row.
        **paragraph: The rest of the message.
    """

    def __init__(self, what: str, *, row: Any = None, **paragraph: Any) -> None:
        self.row = row
        super().__init__(what, **paragraph)


class ModelError(ScdError):
    """A model or tokenizer that can't be had or does not fit."""


class OutOfMemory(ScdError):
    """A phase that needs more memory than there is."""


class NotFinite(ScdError):
    """A training whose loss or gradients are no finite numbers any more."""


class StoreError(ScdError):
    """A stored artifact that is damaged, or a store without room."""


class RankDied(ScdError):
    """A process of a distributed job that ended without a word."""


# What a message has room for of another program's: some put a whole page, or a file's content, into theirs.
_MOST_WORDS = 400


@contextmanager
def translated(
    what: str, *, where: object, got: object = None, remedy: str | None = None, kind: type[ScdError] = ModelError
) -> Iterator[None]:
    """Has whatever a library raises over what a user gave it end as a mistake that the user can mend.

    Libraries document few of the errors that files of other programs lead to, so none is left out, Rust's panics among
    them, which Python counts as no errors. Ctrl-C and signals pass, and so does what is told already.

    Args:
        what: What could not be done, one sentence without a full stop.
        where: The file, or the argument that named it.
        got: The value; None for what the library said, which else stands behind the sentence.
        remedy: As in `ScdError`.
        kind: The class of the error.

    Raises:
        ScdError: In place of what was raised.
    """
    try:
        yield
    except ScdError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        said = words_of(error)
        sentence = what if got is None else f"{what} ({said})"
        raise kind(sentence, where=where, got=said if got is None else got, remedy=remedy) from error


def words_of(error: BaseException) -> str:
    """What another program's error says, in a line; with its class where it says no more than a word.

    >>> words_of(KeyError("added_tokens")), words_of(OSError("it is not there"))
    ("KeyError: 'added_tokens'", 'it is not there')
    """
    text = clean_text(" ".join(str(error).split()).rstrip("."))  # Before it is cut: half a secret is no secret's text.
    text = text if len(text) <= _MOST_WORDS else f"{text[: _MOST_WORDS - 1]}…"
    if " " in text and not isinstance(error, LookupError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
