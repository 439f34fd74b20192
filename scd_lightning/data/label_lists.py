"""Labels in lists, as tools write them that allow several of a text: one in each is the label."""

from dataclasses import replace
from typing import Any

from scd_lightning.data.cells import list_cell
from scd_lightning.data.rows import Row, is_blank
from scd_lightning.data.splits import Splits, all_rows, as_lists
from scd_lightning.errors import DataError

# The columns of Label Studio's exports to CSV and JSON-MIN besides the task's own; so many of them tell one.
_STUDIO = {"annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
_TELLING = 3
# How sure a category has to be where each has a number.
_LEAST = 0.5


def recognise_labels(splits: Splits, notes: list[str]) -> dict[str, list[Row]]:
    """Rows with one label each, where those of the data have a list with one in it; others stay as they are.

    Args:
        splits: Split -> rows, columns renamed.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: Some of the lists have several labels.
    """
    splits = _under_our_name(splits, notes)
    lists = {split: [_list(row) for row in part] for split, part in splits.items()}
    rows = all_rows(splits)
    found = [each for part in lists.values() for each in part]
    given = [(row, each) for row, each in zip(rows, found, strict=True) if each is not None or _has_label(row)]
    if not given or any(each is None for _, each in given):
        return as_lists(splits)
    several = [row for row, each in given if each is not None and len(each) > 1]
    if several:
        raise DataError(
            "Texts have several labels each",
            where=several[0].where,
            got=f"{len(several)} of {len(given)} rows with more than one label",
            expected="one label of each text",
            remedy="keep one of them, or make a class of each combination (task.data.converters)",
        )
    notes.append(f"{len(given)} labels are lists with one label, and read so.")
    return {
        split: [_with_one(row, each) for row, each in zip(part, lists[split], strict=True)]
        for split, part in splits.items()
    }


def _under_our_name(splits: Splits, notes: list[str]) -> Splits:
    """Rows of Label Studio's export of columns: beside what it says of each annotation, one column is the label."""
    rows = all_rows(splits)
    names = {name for row in rows for name in row.values}
    own = names - _STUDIO - {"id", "text"}
    if "label" in names or len(names & _STUDIO) < _TELLING or len(own) != 1:
        return splits
    column = own.pop()
    notes.append(f'Labels are read from the column "{column}" of Label Studio\'s export.')
    return {
        split: [replace(row, values={**row.values, "label": row.values.get(column)}) for row in part]
        for split, part in splits.items()
    }


def _has_label(row: Row) -> bool:
    return not is_blank(row.values.get("label"))


def _list(row: Row) -> list[Any] | None:
    """The labels of a row that are a list, Label Studio's choices, or what holds of spaCy's categories."""
    try:
        value = list_cell(row, "label")
    except DataError:  # A label that begins with a bracket.
        return None
    if isinstance(value, dict):
        value = value.get("choices")
    if value is None and isinstance(cats := row.values.get("cats"), dict):
        return [name for name, weight in cats.items() if isinstance(weight, int | float) and weight >= _LEAST]
    return value if isinstance(value, list) else None


def _with_one(row: Row, labels: list[Any] | None) -> Row:
    return row if labels is None else replace(row, values={**row.values, "label": next(iter(labels), None)})
