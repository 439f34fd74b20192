"""One JSON object that holds all rows of a file, as other programs write it: under a name, by split or by column."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scd_lightning.data.splits import SPLIT_NAMES

Rows = list[Any]
# What an object has that is a row itself.
_OF_ROWS = {"text", "tokens", "question", "context"}


def rows_within(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    """How an object holds rows, in words, and those of a split; None where it is a row, or holds none.

    >>> rows_within({"version": "2", "data": [{"text": "a"}, {"text": "b"}]}, "train")
    ('an object with its rows under "data"', [{'text': 'a'}, {'text': 'b'}])
    """
    if _OF_ROWS & {name for name, value in whole.items() if not isinstance(value, list | dict)}:
        return None
    for form in _FORMS:
        found = form(whole, split)
        if found is not None:
            return found
    return None


def splits_within(whole: Mapping[str, Any]) -> dict[str, str]:
    """Split -> the name that an object has its rows under; nothing where it does not hold rows by split."""
    names = {name.lower(): name for name, value in whole.items() if _are_rows(value)}
    found = {split: names[each] for split, called in SPLIT_NAMES.items() for each in reversed(called) if each in names}
    return found if "train" in found else {}


def lists_within(whole: Mapping[str, Any]) -> list[str]:
    """The names of all that looks like rows."""
    return [name for name, value in whole.items() if _are_rows(value)]


def as_row(value: Any) -> dict[str, Any] | None:
    """The row that a value is: an object, a text alone, or spaCy's pair of a text and what is marked in it.

    >>> as_row(["Ada left.", {"entities": [[0, 3, "WHO"]]}])
    {'text': 'Ada left.', 'entities': [[0, 3, 'WHO']]}
    """
    if isinstance(value, str):
        return {"text": value}
    if is_pair(value):
        return {"text": value[0], **value[1]}
    return value if isinstance(value, dict) else None


def is_pair(value: Any) -> bool:
    """Whether a value is a text and what is marked in it, as spaCy has its examples."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) or is_pair(each) for each in value)


def _by_split(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    names = splits_within(whole)
    if not names:
        return None
    name = names.get(split, split if _are_rows(whole.get(split)) else names["train"])
    return f'an object with rows by split, of which it is "{name}"', whole[name]


def _named(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    names = lists_within(whole)
    if len(names) != 1:
        return None
    rows = whole[names[0]]
    questions = list(_questions(rows))
    if questions:
        return f"SQuAD's form with {len(questions)} questions", questions
    return f'an object with its rows under "{names[0]}"', rows


def _questions(rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What SQuAD asks of the paragraphs of its articles."""
    for article in rows:
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        for paragraph in paragraphs if isinstance(paragraphs, list) else ():
            for asked in paragraph["qas"]:
                yield {"context": paragraph["context"], **asked}


def _header_and_cells(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    header, cells = whole.get("columns"), whole.get("data")
    if not isinstance(header, list) or not isinstance(cells, list) or not all(isinstance(e, str) for e in header):
        return None
    if not all(isinstance(each, list) and len(each) == len(header) for each in cells):
        return None
    return "an object of columns and data", [dict(zip(header, each, strict=True)) for each in cells]


def _lists_by_column(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    columns = [*whole.values()]
    if "tokens" in whole or lists_within(whole) or not all(isinstance(each, list) for each in columns):
        return None
    if len(columns) < 2 or len({len(each) for each in columns}) > 1 or len(columns[0]) < 2:
        return None
    cells = zip(*columns, strict=True)
    return "an object with a list for each column", [dict(zip(whole, each, strict=True)) for each in cells]


def _objects_by_column(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    columns = [*whole.values()]
    if len(columns) < 2 or not all(isinstance(each, dict) and each.keys() == columns[0].keys() for each in columns):
        return None
    if not columns[0] or not all(key.isdecimal() for key in columns[0]):
        return None
    return "an object with an object for each column", [
        {name: column[key] for name, column in whole.items()} for key in columns[0]
    ]


def _objects_by_row(whole: Mapping[str, Any], split: str) -> tuple[str, Rows] | None:
    if len(whole) < 2 or not all(isinstance(each, dict) for each in whole.values()):
        return None
    numbered = all(name.isdecimal() for name in whole)
    if not numbered and not all(_OF_ROWS & each.keys() for each in whole.values()):
        return None
    return "an object with an object for each row", [{"id": name, **each} for name, each in whole.items()]


_FORMS: tuple[Callable[[Mapping[str, Any], str], tuple[str, Rows] | None], ...] = (
    _by_split,
    _header_and_cells,
    _named,
    _lists_by_column,
    _objects_by_column,
    _objects_by_row,
)
