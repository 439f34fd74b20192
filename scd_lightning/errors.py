"""Errors that a user can mend, each a paragraph that says what, where, got, expected and the remedy.

They end a run with exit code 2, without a traceback. Everything else that is raised is a defect of this
package and keeps its traceback.
"""

from typing import Any


def interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C ended the process; Lightning turns it into an exit with code 1."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)


class ScdError(Exception):
    """A mistake in the input that the user can mend.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: The argument, file and line, or model it concerns.
        got: The value that was found.
        expected: The value that would have been right.
        remedy: What to do about it, one sentence without a full stop.
    """

    exit_code = 2

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
        parts = [f"{what}."]
        for label, value in (("Where", where), ("Got", got), ("Expected", expected), ("Remedy", remedy)):
            if value is not None:
                parts.append(f"{label}: {value}.")
        super().__init__(" ".join(parts))


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
    """A stage that needs more memory than there is."""


class NotFinite(ScdError):
    """A training whose loss or gradients are no finite numbers any more."""


class StoreError(ScdError):
    """A stored artifact that is damaged, or a store without room."""
