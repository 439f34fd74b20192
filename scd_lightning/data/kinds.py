"""Kinds of rows, by what they answer: leaving rows out must not take one away as a whole."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.spelling import as_name

# One row is no kind: its value may be the very mistake for which it is left out.
_FEWEST = 2


def lost_kinds(kept: Sequence[Row], lost: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """The kinds of which all rows are among the lost ones, with their numbers, the largest first.

    A kind is the rows with one label, answer or tag; those with an entity or a tag at all; and those of one file.

    Args:
        kept: Rows that are used, in the form that the others have.
        lost: Rows that are not.
        columns: The columns with labels, answers and tags.
    """
    left = {kind for row in kept for kind in _kinds(row, columns)}
    # Without repetitions, in an order that is the same in every process.
    counts = Counter(kind for row in lost for kind in dict.fromkeys(_kinds(row, columns)) if kind not in left)
    return [f"{count} with {shorten(kind)}" for kind, count in counts.most_common() if count >= _FEWEST]


def _kinds(row: Row, columns: Sequence[str]) -> Iterator[str]:
    yield f"file {row.file}"
    for column in columns:
        for value in _values(row.values.get(column)):
            yield f"{column} {value}"


def _values(value: object) -> Iterator[str]:
    """Of an entity its label; of a list that there is something in it, and what."""
    if isinstance(value, list) and value:
        yield "that holds something"
    for item in value if isinstance(value, list) else [value]:
        answer = item.get("label") if isinstance(item, dict) else item
        name = as_name(answer)
        # A number with a fraction is no name, but all of one may be what is left out.
        if name is not None or isinstance(answer, float | Decimal):
            yield name or str(answer)
