"""Exports of annotation tools to our rows: which form a data set has is told by all of its rows together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scd_lightning.data.cells import list_cell
from scd_lightning.data.regions import OWN, Entity, read_regions
from scd_lightning.data.rows import Row, is_blank, shorten
from scd_lightning.data.splits import Splits, all_rows
from scd_lightning.errors import DataError

_COLUMN = "entities"
_PLACELESS = {"text", "label"}
_FIELDS = _PLACELESS | {"start", "end"}
_NAMING = "'task.data.converters=[{_target_: scd_lightning.data.converters.MergedLabels, same: [[NAME, \"1\"]]}]'"


@dataclass(frozen=True)
class _Marks:
    """What a row has in the column of its entities.

    Attributes:
        entities: In our form; None where it is no list of regions.
        forms: The form of each region.
        given: Whether there is anything in the cell.
    """

    entities: list[Entity] | None
    forms: tuple[str, ...]
    given: bool


def recognise_entities(splits: Splits, notes: list[str]) -> dict[str, list[Row]]:
    """Rows with entities in our form, where those of the data are in a tool's; rows of no known form stay as they are.

    Args:
        splits: Split -> rows, columns renamed.
        notes: Takes a sentence for what was recognised.
    """
    column = _column(splits)
    if column is None:
        return {split: [*rows] for split, rows in splits.items()}
    marks = {split: [_marks(row, column) for row in rows] for split, rows in splits.items()}
    every = [each for part in marks.values() for each in part]
    forms = Counter(form for each in every for form in each.forms if form != OWN)
    as_text = column == _COLUMN and not forms and _are_cells(splits)
    fill = bool(forms) or column != _COLUMN or as_text
    if not fill:
        return {split: [*rows] for split, rows in splits.items()}
    notes.extend(_said(column, forms, sum(not each.given for each in every)))
    if forms and any(str(entity["label"]).isdecimal() for each in every for entity in each.entities or ()):
        notes.append(f"Labels of entities are numbers. To give them names: {_NAMING}.")
    return {
        split: [_filled(row, each) for row, each in zip(splits[split], marks[split], strict=True)] for split in marks
    }


def check_places(splits: Splits) -> None:
    """Raises a DataError where no entity has a place and all have their strings, for which there is a converter."""
    rows = all_rows(splits)
    lists = [row.values["entities"] for row in rows if isinstance(row.values.get("entities"), list)]
    entities = [each for found in lists for each in found]
    if entities and all(isinstance(each, dict) and each.keys() & _FIELDS == _PLACELESS for each in entities):
        raise DataError(
            "Entities have strings and no places",
            where=rows[0].file,
            got=f"{len(entities)} entities, such as {shorten(entities[0])}",
            expected='"start" and "end" in each',
            remedy="'task.data.converters=[{_target_: scd_lightning.data.converters.PlacedStrings}]' gives each the "
            "first free place of its string",
        )


def _column(splits: Splits) -> str | None:
    """The column of the entities: ours, or the only one in which all that is given is regions."""
    rows = all_rows(splits)
    names = dict.fromkeys(name for row in rows for name in row.values)
    if _COLUMN in names:
        return _COLUMN
    found = [name for name in names if _holds_regions(rows, name)]
    return found[0] if len(found) == 1 else None


def _holds_regions(rows: Sequence[Row], column: str) -> bool:
    marks = [_marks(row, column) for row in rows if column in row.values]
    return any(each.forms for each in marks) and all(each.entities is not None for each in marks if each.given)


def _marks(row: Row, column: str) -> _Marks:
    try:
        value = list_cell(row, column)
    except DataError:  # It is said where the row is checked.
        return _Marks(None, (), given=True)
    read = read_regions(value)
    given = not is_blank(value) and not (isinstance(value, str) and not value.strip())
    if read is None:
        return _Marks(None, (), given)
    forms = tuple(form for form, _ in read)
    own = isinstance(value, list) and {*forms} <= {OWN}
    return _Marks(value if own else [entity for _, found in read for entity in found], forms, given)


def _are_cells(splits: Splits) -> bool:
    """Whether rows are of a table as text, where an empty cell is all that no entity can be."""
    return all(row.file.lower().endswith((".csv", ".tsv")) for rows in splits.values() for row in rows)


def _filled(row: Row, marks: _Marks) -> Row:
    entities = marks.entities if marks.given else []
    return row if entities is None else replace(row, values={**row.values, _COLUMN: entities})


def _said(column: str, forms: Mapping[str, int], empty: int) -> Iterator[str]:
    named = "" if column == _COLUMN else f' Entities are read from the column "{column}".'
    for form, count in forms.items():
        yield f"{count} entities are {form}, and read so.{named}"
    if named and not forms:
        yield named.strip()
    if empty:
        yield f"{empty} rows have nothing in the column of the entities: they are read as texts without any."
