"""Running converters over splits, and over texts that lack what labelled rows have."""

from collections import Counter
from collections.abc import Mapping, Sequence

from scd_lightning.data.bad_rows import BadRows
from scd_lightning.data.converters.base import Converter, convert
from scd_lightning.data.rows import Row
from scd_lightning.errors import DataError


def convert_splits(
    converters: Sequence[Converter],
    given: Mapping[str, list[Row]],
    lost: Counter[str],
    bad_rows: BadRows,
    notes: list[str],
) -> dict[str, list[Row]]:
    """What converters make of each split, one behind another.

    Args:
        converters: The converters.
        given: Split -> rows.
        lost: Counts what could not be carried over.
        bad_rows: What becomes of rows that can't be converted.
        notes: Takes a sentence for what they recognised.

    Raises:
        DataError: A row can't be converted, or none is left of a split.
    """
    splits = dict(given)
    for converter in converters:
        notes.extend(converter.look([row for rows in splits.values() for row in rows]))
        splits = {split: _converted(converter, split, rows, lost, bad_rows) for split, rows in splits.items()}
    for split, rows in splits.items():
        if not rows:
            where, got = given[split][0].file, f"{len(given[split])} rows as read"
            raise DataError("No row is left after conversion", where=where, got=got)
    return splits


def convert_texts(converters: Sequence[Converter], rows: list[Row]) -> list[Row]:
    """Texts without labels, converted; those that a converter refuses stay as they are.

    It may be for columns that labelled rows alone have.
    """
    for converter in converters:
        parts = [rows] if converter.joins_rows else [[row] for row in rows]
        rows = [row for part in parts for row in _converted_or_as_is(converter, part)]
    return rows


def _converted(converter: Converter, split: str, rows: list[Row], lost: Counter[str], bad_rows: BadRows) -> list[Row]:
    """One at a time, so that a bad row can be left out; but not where it would be missing from what others make."""
    if converter.joins_rows:
        return convert(converter, rows, lost)
    parts = bad_rows.keep(split, lambda row: convert(converter, [row], lost), rows)
    return [row for part in parts for row in part]


def _converted_or_as_is(converter: Converter, rows: list[Row]) -> list[Row]:
    try:
        return convert(converter, rows, Counter())
    except DataError:
        return rows
