"""What becomes of rows that can't be used: the first one ends the run, or all of them are left out and counted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from scd_lightning.data.kinds import lost_kinds
from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.splits import SPLITS
from scd_lightning.errors import DataError

T = TypeVar("T")
R = TypeVar("R")

_SHOWN_COLUMNS = 20
_SHOWN_KINDS = 3


class BadRows:
    """Decides about rows that can't be used; everything that is done to one row at a time goes through `keep`.

    Args:
        skip: Leave them out; else the first one is an error.
    """

    def __init__(self, *, skip: bool) -> None:
        self.skip = skip
        self._errors: dict[str, list[DataError]] = {split: [] for split in SPLITS}
        self._rows: dict[str, int] = {}

    def keep(self, split: str, convert: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """What `convert` makes of the items that it can convert.

        Args:
            split: The split they belong to.
            convert: Raises a DataError with the row that is at fault.
            items: The split's rows, in the form that they have so far.

        Raises:
            DataError: A row can't be used and is not to be left out, or over half of the split's rows can't.
        """
        if not self.skip:
            return [convert(item) for item in items]
        kept, count, errors = [], 0, self._errors.setdefault(split, [])
        for item in items:
            count += 1
            try:
                kept.append(convert(item))
            except DataError as error:
                if error.row is None:
                    raise
                errors.append(error)
        # The first step sees all rows of a split, later ones what is left of them.
        if 2 * len(errors) > self._rows.setdefault(split, count):
            raise self._too_many(split)
        return kept

    def _too_many(self, split: str) -> DataError:
        errors = self._errors[split]
        return DataError(
            f"More than half of the {split} rows can't be used",
            where=errors[0].where,
            got=f"{len(errors)} of {self._rows[split]} rows; the first: {_reason(errors[0])}",
            expected="a few such rows at most: others may be of another task, or have other columns",
            remedy="check task, task.data.columns and task.data.converters",
        )

    @property
    def found(self) -> bool:
        """Whether any row was left out."""
        return any(self._errors.values())

    def check_kinds(self, rows: Mapping[str, Sequence[Row]], columns: Sequence[str]) -> None:
        """Makes sure that what is left has some of each kind of row, as `lost_kinds` tells them.

        Args:
            rows: Split -> all of its rows in one form, those left out among them.
            columns: Those that say what kind a row is.

        Raises:
            DataError: All rows of a kind were left out.
        """
        errors = {(error.row.file, error.row.line): error for each in self._errors.values() for error in each}
        for split, all_rows in rows.items():
            lost = [row for row in all_rows if (row.file, row.line) in errors]
            kept = [row for row in all_rows if (row.file, row.line) not in errors]
            if lost and (kinds := lost_kinds(kept, lost, columns)):
                raise _lost(split, kinds, len(lost), errors[lost[0].file, lost[0].line])

    @property
    def counts(self) -> dict[str, int]:
        """Split -> rows left out, for all three and for texts without labels where some of them were.

        Of splits that were cut, most were counted where they came from.
        """
        return {split: len(errors) for split, errors in self._errors.items() if errors or split in SPLITS}

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows left out as JSON values: "split", "file", "line", "id", "reason" and "values", shortened."""
        return [_record(split, error.row, error) for split, errors in self._errors.items() for error in errors]


def _lost(split: str, kinds: Sequence[str], count: int, first: DataError) -> DataError:
    more = f" and {len(kinds) - _SHOWN_KINDS} more" if len(kinds) > _SHOWN_KINDS else ""
    return DataError(
        f"All {split} rows of a kind can't be used: without them the rest would be other data",
        where=first.where,
        got=f"{count} such rows, {', '.join(kinds[:_SHOWN_KINDS])}{more}; the first: {_reason(first)}",
        expected="some rows of each kind that can be used",
        remedy="correct or convert these rows (task.data.converters), or remove that kind from the data yourself",
    )


def _record(split: str, row: Row, error: DataError) -> dict[str, Any]:
    shown = list(row.values.items())[:_SHOWN_COLUMNS]
    return {
        "split": split,
        "file": row.file,
        "line": row.line,
        "id": row.id,
        "reason": _reason(error),
        "values": {shorten(name): shorten(value) for name, value in shown},
    }


def _reason(error: DataError) -> str:
    parts = (("got", error.got), ("expected", error.expected))
    return "; ".join([error.what, *(f"{name} {value}" for name, value in parts if value is not None)])


STRICT = BadRows(skip=False)
