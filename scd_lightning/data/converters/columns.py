"""Columns under other names or in other forms."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scd_lightning.data.class_names import apply_names
from scd_lightning.data.converters.base import RowConverter, with_values
from scd_lightning.data.rows import Row, as_whole, is_blank, named_by_id, whole_number
from scd_lightning.errors import ConfigError

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class RenameColumns(RowConverter):
    """Gives columns other names, all at once; columns that a row lacks are no error.

    Args:
        columns: Old name -> new name.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        twice = [name for name, count in Counter(columns.values()).items() if count > 1]
        if twice:
            where = "task.data.columns"
            raise ConfigError("Two columns get one name", where=where, got=", ".join(twice), expected="a name for each")
        self.columns = dict(columns)

    def convert(self, row: Row) -> Row:
        """Renames; DataError where the row has a column of the new name besides."""
        for old, new in self.columns.items():
            if old in row.values and new in row.values and new not in self.columns:
                raise row.error(new, "is there twice", f"columns {old} (renamed) and {new}", "one of them")
        return named_by_id(
            replace(row, values={self.columns.get(name, name): value for name, value in row.values.items()})
        )

    def idle(self, rows: Sequence[Row]) -> list[str]:
        """The old names that no row has."""
        return [name for name in self.columns if not any(name in row.values for row in rows)]


class ClassNames(RowConverter):
    """Class numbers, or lists of them, to names. Names pass unchanged.

    Args:
        column: The column.
        names: The classes' names in the order of their numbers; None where the data must say them itself, as the
            hub's Parquet files do.
    """

    def __init__(self, column: str, names: Sequence[str] | None = None) -> None:
        self.column, self.answers = column, (column,)
        self.names = names

    def convert(self, row: Row) -> Row:
        """Names the classes; DataError where there is no name for a number."""
        value = row.values.get(self.column)
        if self.names is not None and isinstance(value, str) and value not in self.names:
            value = whole_number(value)  # A CSV file has numbers as text.
        values = apply_names({self.column: value}, {self.column: self.names or ()})
        found = values[self.column]
        if any(isinstance(as_whole(each), int) for each in (found if isinstance(found, list) else [found])):
            raise row.error(
                self.column, "holds a class number without a name", found,
                "names" if self.names is None else f"numbers from 0 to {len(self.names) - 1}",
                "use the hub's Parquet files, which hold the names, or write names in place of numbers",
            )  # fmt: skip
        return row if found == row.values.get(self.column) else with_values(row, **values)


class ChoiceColumns(RowConverter):
    """One column for each choice to a list `choices`; the last ones may be empty. A row with `choices` passes.

    Args:
        columns: The columns in the order of the choices.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)

    def convert(self, row: Row) -> Row:
        """Makes the list; DataError where a choice is missing before one that is there."""
        if "choices" in row.values:
            return row
        cells = [row.values.get(name) for name in self.columns]
        count = max((i + 1 for i, cell in enumerate(cells) if not _is_empty(cell)), default=0)
        if count == 0:
            raise row.error(self.columns[0], "is missing", f"fields {sorted(row.values)}", "the first choice")
        for name, cell in zip(self.columns, cells[:count], strict=False):
            if _is_empty(cell):
                raise row.error(name, "is empty before other choices", repr(cell), "text")
        return with_values(row, self.columns, choices=[str(as_whole(cell)) for cell in cells[:count]])


class LetterAnswers(RowConverter):
    """The letter of the right choice (A is the first one) in `answer` to its index. An index passes."""

    answers = ("answer",)

    def convert(self, row: Row) -> Row:
        """Turns a letter into an index; DataError where it names no choice."""
        answer, choices = row.values.get("answer"), row.values.get("choices")
        if not isinstance(answer, str) or not isinstance(choices, list):
            return row
        letters = _LETTERS[: len(choices)]
        letter = answer.strip().upper()
        if isinstance(index := whole_number(letter), int):
            return with_values(row, answer=index)
        if len(letter) != 1 or letter not in letters:
            raise row.error("answer", "names no choice", repr(answer), f"one of {', '.join(letters)}")
        return with_values(row, answer=letters.index(letter))


class JoinedContext(RowConverter):
    """A context in labelled parts to one text, a part a line as "LABEL: text". A text passes unchanged.

    Args:
        column: The column, an object.
        texts: The parts, in the object.
        labels: Their labels, in the object; where they are missing, the parts stand alone.
    """

    def __init__(self, column: str = "context", texts: str = "contexts", labels: str = "labels") -> None:
        self.column, self.texts, self.labels = column, texts, labels

    def convert(self, row: Row) -> Row:
        """Joins the parts; DataError where the object does not hold them."""
        value = row.values.get(self.column)
        if not isinstance(value, dict):
            return row
        texts = row.strings(f"{self.column}.{self.texts}", value.get(self.texts))
        labels = value.get(self.labels) or []
        if labels and (not isinstance(labels, list) or len(labels) != len(texts)):
            field = f"{self.column}.{self.labels}"
            raise row.error(field, "has no label for each part", repr(labels), f"a list of {len(texts)} labels")
        lines = [f"{label}: {text}" for label, text in zip(labels, texts, strict=True)] if labels else texts
        return with_values(row, **{self.column: "\n".join(lines)})


def _is_empty(cell: Any) -> bool:
    return is_blank(cell) or not str(cell).strip()
