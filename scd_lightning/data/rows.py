"""Rows of a data file that know where they stand, and the checks that name that place when they fail."""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from scd_lightning.config.size_limits import TEXT
from scd_lightning.errors import DataError

_TEXT_FIELDS = ("text", "question", "context")
_INPUT_FIELDS = (*_TEXT_FIELDS, "choices")
_SHOWN = 80
# Control and format characters, half surrogate pairs, line separators: printed, they would hide what the text holds.
_UNSHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# More digits than any class or choice has, and far fewer than Python refuses to read.
_DIGITS = 18
# What to do about a number where text is wanted.
AS_TEXT = "write it as text: in quotes in JSON, in a column of text in Parquet"
# Floats are exact up to here.
_LARGEST = 2**53


@dataclass(frozen=True)
class Row:
    """One record of a data file.

    Attributes:
        id: Its name, given in the file or made from the split and the record's number.
        values: Column -> value, as JSON has them.
        file: The file it was read from.
        line: Its line there, from 1 (the record's number in a Parquet file).
    """

    id: str
    values: dict[str, Any]
    file: str
    line: int

    @property
    def where(self) -> str:
        """`file:line`, for messages."""
        return f"{self.file}:{self.line}"

    def error(self, field: str, what: str, got: object, expected: str, remedy: str | None = None) -> DataError:
        """A DataError that names this row and one of its fields."""
        return DataError(
            f'Field "{field}" {what}',
            where=f"{self.where} (id {shorten(self.id)})",
            got=shorten(got),
            expected=expected,
            remedy=remedy or "correct or remove this row",
            row=self,
        )

    def require(self, field: str, expected: str) -> Any:
        """The value of a field.

        Raises:
            DataError: The row lacks it.
        """
        if self.values.get(field) is not None:
            return self.values[field]
        if field in self.values:
            remedy = "fill it in or remove this row; task.data.on_bad_row=skip leaves such rows out"
            raise self.error(field, "is empty", "an empty cell, or null", expected, remedy)
        remedy = (
            f"correct or remove this row; a column of another name: 'task.data.columns={{name: {field}}}'; "
            "another form: task.data.converters (docs/data.md)"
        )
        raise self.error(field, "is missing", f"fields {sorted(self.values)}", expected, remedy)

    def string(self, field: str) -> str:
        """A field that must hold text; see `check_string`."""
        return self.check_string(field, self.require(field, "a non-empty string"))

    def optional_string(self, field: str) -> str:
        """Like `string`, but "" where the row lacks the field or leaves it empty."""
        return "" if self.values.get(field) in (None, "") else self.string(field)

    def check_string(self, field: str, value: object) -> str:
        """Returns `value` if it is a string with something to read in it, of no absurd length, that UTF-8 can carry.

        Raises:
            DataError: It is not.
        """
        if not isinstance(value, str):
            remedy = AS_TEXT if isinstance(value, int | float | Decimal) else None
            raise self.error(field, "has the wrong type", typed(value), "a non-empty string", remedy)
        if not _has_something(value):
            raise self.error(field, "is empty", repr(value), "a non-empty string")
        if len(value) > TEXT.bytes:
            remedy = f"cut it into several rows; or raise the bound by the environment variable {TEXT.variable}, in MiB"
            raise self.error(field, "is longer than is read", value, f"at most {TEXT.bytes:,} characters", remedy)
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(field, "holds half a surrogate pair", repr(value), "valid Unicode text") from error
        return value

    def integer(self, field: str, value: object) -> int:
        """Returns `value` if it is a whole number, whatever its type (True and False are none).

        Raises:
            DataError: It is not.
        """
        whole = as_whole(value)
        if not isinstance(whole, int) or isinstance(whole, bool):
            raise self.error(field, "has the wrong type", typed(value), "an integer")
        return whole

    def strings(self, field: str, value: object) -> list[str]:
        """Returns `value` if it is a list of non-empty strings, at least one.

        Raises:
            DataError: It is not.
        """
        if not isinstance(value, list) or not value:
            raise self.error(field, "has the wrong type", repr(value), "a list of non-empty strings")
        return [self.check_string(f"{field}[{i}]", item) for i, item in enumerate(value)]

    @property
    def input_key(self) -> str:
        """What a model reads of this row, white space and how accents are composed apart: equal keys are one sample."""
        parts = [self.values.get(name) or None for name in _INPUT_FIELDS]
        if not any(parts):
            return self.where  # an error that its validation reports, and not a copy of other empty rows
        text = unicodedata.normalize("NFC", json.dumps(parts, ensure_ascii=False, default=str))
        return " ".join(text.replace("\\n", " ").split())


def make_row(values: dict[str, Any], split: str, number: int, file: str) -> Row:
    """A row as it was read.

    It is named by its id or else by split and number, which are the same in every file format.

    Args:
        values: Column -> value.
        split: "train", "validation" or "test".
        number: The record's number in the split, from 1, in place of a line.
        file: What it was read from.

    Raises:
        DataError: The id is neither a string with something in it nor an integer.
    """
    return named_by_id(Row(f"{split}-{number}", values, file, number))


def named_by_id(row: Row) -> Row:
    """The row under the id that its values give it, if they do.

    Raises:
        DataError: The id is neither a string with something in it nor an integer.
    """
    given = as_whole(row.values.get("id"))
    if given is None:
        return row
    if isinstance(given, int) and not isinstance(given, bool):
        return replace(row, id=str(given))
    if not isinstance(given, str):
        raise row.error("id", "has the wrong type", repr(given), "a non-empty string or an integer")
    return replace(row, id=row.check_string("id", given))


def is_blank(value: object) -> bool:
    """Whether it is what tables have in an empty cell: nothing, or a float that is no number."""
    return value is None or (isinstance(value, float | Decimal) and value != value)


def typed(value: object) -> str:
    """A value after its type, for messages."""
    return f"{type(value).__name__} {value!r}"


def as_whole(value: Any) -> Any:
    """The integer that a float is, as an empty cell makes of all integers of its column; what is none, as it is.

    >>> as_whole(2.0), as_whole(2.5), as_whole("2.0"), as_whole(True)
    (2, 2.5, '2.0', True)
    """
    exact = isinstance(value, float | Decimal) and not is_blank(value) and -_LARGEST <= value <= _LARGEST
    return int(value) if exact and value == int(value) else value


def whole_number(text: str) -> int | str:
    """The number that a cell of a CSV file has as text; text that is none, or has too many digits, as it is.

    >>> whole_number("2"), whole_number("2.0"), whole_number("2.5")
    (2, 2, '2.5')
    """
    whole, point, rest = text.strip().partition(".")
    digits = whole if not rest.strip("0") and bool(point) == bool(rest) else ""
    return int(digits) if digits.isdecimal() and len(digits) <= _DIGITS else text


def _has_something(text: str) -> bool:
    """Whether a text has more than blanks and marks that show nothing."""
    return any(not char.isspace() and unicodedata.category(char) != "Cf" for char in text)


def shorten(value: object) -> str:
    """The value as text, cut to what a message can carry, with escapes for what can't be seen."""
    text = str(value)
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    hidden = {char for char in shown if unicodedata.category(char) in _UNSHOWN}
    return "".join(char.encode("unicode_escape").decode() if char in hidden else char for char in shown)


def free_texts(rows: Iterable[Row]) -> Iterator[str]:
    """All texts that the rows have a model read."""
    values = (row.values.get(field) for row in rows for field in _TEXT_FIELDS)
    return (value for value in values if isinstance(value, str))
