"""What offsets of entities count: characters, or something else that strings beside them, or cut words, give away."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from scd_lightning.data.rows import Row, as_whole, shorten
from scd_lightning.data.splits import as_lists

Place = tuple[int, int]
# A text -> what turns a place as it was counted into characters, None where it can't be one.
Counting = Callable[[str], Callable[[int, int], Place | None]]
# Of those that a counting explains, few may be wrong for another reason; and few words are rightly marked in part.
_MOST, _MANY, _FEWEST, _SHOWN = 0.9, 0.2, 3, 3
_TAG = re.compile(r"<[^<>]*>")
# A character and the accents behind it, of the blocks that have nothing else.
_CLUSTER = re.compile("(?s:.)[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a]*")
# Latin, Greek, Cyrillic, Armenian: between their letters no name begins. Scripts behind have prefixes, or no blanks.
_LAST_OF_WORDS = "\u058f"


@dataclass(frozen=True)
class _Mark:
    """An entity that has a place, and the text it is in."""

    text: str
    start: int
    end: int
    string: str | None

    def at(self, counting: Counting) -> Place | None:
        return counting(self.text)(self.start, self.end)

    def is_right(self, counting: Counting) -> bool:
        place = self.at(counting)
        return place is not None and _same(self.text[slice(*place)], self.string)

    def cuts(self, counting: Counting) -> bool:
        """Whether it begins within a word."""
        place = self.at(counting)
        around = "" if place is None or place[0] == 0 else self.text[place[0] - 1 : place[0] + 1]
        return len(around) == 2 and all(char.isalnum() and char <= _LAST_OF_WORDS for char in around)


def recount(splits: Mapping[str, Sequence[Row]], notes: list[str]) -> dict[str, list[Row]]:
    """Rows with offsets in characters, where strings show that all of them were counted otherwise.

    Args:
        splits: Split -> rows, entities in our form.
        notes: Takes a sentence where they were, or where entities without strings look like it.
    """
    rows = as_lists(splits)
    marks = [mark for part in rows.values() for row in part for mark in _marks(row)]
    with_strings = [mark for mark in marks if mark.string is not None]
    wrong = [mark for mark in with_strings if not mark.is_right(_characters)]
    name = _explaining(with_strings, wrong) if wrong else None
    if name is not None:
        notes.append(
            f"Offsets of entities are counted {name}: {len(wrong)} of {len(with_strings)} strings stand elsewhere in "
            "characters. They are read so."
        )
        return {split: [_recounted(row, _COUNTINGS[name]) for row in part] for split, part in rows.items()}
    notes.extend(_cut_words([mark for mark in marks if mark.string is None]))
    if spelled := sum(mark.text[mark.start : mark.end] != mark.string for mark in with_strings) - len(wrong):
        notes.append(f"{spelled} strings of entities compose accents otherwise than their texts: those are read.")
        return {split: [_recounted(row, _characters) for row in part] for split, part in rows.items()}
    return rows


def _marks(row: Row) -> Iterator[_Mark]:
    text, entities = row.values.get("text"), row.values.get("entities")
    if not isinstance(text, str) or not isinstance(entities, list):
        return
    for entity in entities:
        place = _place(entity)
        if place is not None:
            string = entity.get("text")
            yield _Mark(text, *place, string if isinstance(string, str) else None)


def _place(entity: Any) -> Place | None:
    """Where an entity is said to stand, if it is said."""
    found = [as_whole(entity.get(name)) for name in ("start", "end")] if isinstance(entity, dict) else []
    whole = [each for each in found if isinstance(each, int) and not isinstance(each, bool) and each >= 0]
    return (whole[0], whole[1]) if len(whole) == 2 else None


def _explaining(marks: Sequence[_Mark], wrong: Sequence[_Mark]) -> str | None:
    """The counting by which nearly all strings are right that are wrong in characters, and none becomes wrong."""
    right = [mark for mark in marks if mark.is_right(_characters)]
    for name, counting in _COUNTINGS.items():
        mended = sum(mark.is_right(counting) for mark in wrong)
        if mended >= _MOST * len(wrong) and all(mark.is_right(counting) for mark in right):
            return name
    return None


def _recounted(row: Row, counting: Counting) -> Row:
    text, entities = row.values.get("text"), row.values.get("entities")
    if not isinstance(text, str) or not isinstance(entities, list):
        return row
    convert = counting(text)
    return replace(row, values={**row.values, "entities": [_moved(entity, text, convert) for entity in entities]})


def _moved(entity: Any, text: str, convert: Callable[[int, int], Place | None]) -> Any:
    place = _place(entity)
    moved = None if place is None else convert(*place)
    if moved is None:
        return entity
    string = text[slice(*moved)]
    spelled = {"text": string} if _same(string, entity.get("text")) else {}
    return {**entity, "start": moved[0], "end": moved[1], **spelled}


def _same(string: str, other: object) -> bool:
    """Whether strings are the same, however their accents are composed."""
    if string == other or not isinstance(other, str) or string.isascii():
        return string == other
    return unicodedata.normalize("NFC", string) == unicodedata.normalize("NFC", other)


def _cut_words(marks: Sequence[_Mark]) -> Iterator[str]:
    cut = [mark for mark in marks if mark.cuts(_characters)]
    if len(cut) < max(_FEWEST, _MANY * len(marks)):
        return
    shown = ", ".join(repr(shorten(mark.text[mark.start : mark.end])) for mark in cut[:_SHOWN])
    counts = {
        name: sum(mark.cuts(counting) or not mark.at(counting) for mark in cut) for name, counting in _COUNTINGS.items()
    }
    best = min(counts, key=lambda name: counts[name])
    other = f" Counted {best}, {counts[best]} of these would." if counts[best] < len(cut) / 2 else ""
    yield (
        f"{len(cut)} of {len(marks)} entities begin within a word, such as {shown}: offsets are to be counted in "
        f'characters, from 0, end exclusive.{other} With its string as "text" in each entity they are put right.'
    )


def _characters(text: str) -> Callable[[int, int], Place | None]:
    return lambda start, end: (start, end)


def _wide(width: Callable[[str], Sequence[int]]) -> Counting:
    """Offsets in which a character counts for more, or less, than one.

    Args:
        width: (text) -> how much each of its characters counts.
    """

    # The entities of a text come one after another.
    @lru_cache(maxsize=1)
    def counting(text: str) -> Callable[[int, int], Place | None]:
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        at = 0
        for i, each in enumerate((*width(text), 0)):
            starts[at] = i
            ends.setdefault(at, i)
            at += each
        return lambda start, end: (starts[start], ends[end]) if start in starts and end in ends else None

    return counting


def _short_breaks(text: str) -> list[int]:
    return [int(text[i : i + 2] != "\r\n") for i in range(len(text))]


def _composed(text: str) -> Callable[[int, int], Place | None]:
    """Offsets that count a letter and its accents as one, where the text has them apart."""
    places, at = {0: 0}, 0
    for cluster in _CLUSTER.finditer(text):
        at += len(unicodedata.normalize("NFC", cluster[0]))
        places[at] = cluster.end()
    return lambda start, end: (places[start], places[end]) if start in places and end in places else None


def _single_blanks(text: str) -> list[int]:
    """Characters as they count where blanks at the start are gone, and several in the text are one."""
    return [int(not char.isspace() or not (i == 0 or text[i - 1].isspace())) for i, char in enumerate(text)]


def _without_markup(text: str) -> list[int]:
    inside = {i for tag in _TAG.finditer(text) for i in range(*tag.span())}
    return [int(i not in inside) for i in range(len(text))]


_COUNTINGS: dict[str, Counting] = {
    "in UTF-16 units, as browsers do": _wide(lambda text: [1 + (char > "\uffff") for char in text]),
    "in bytes of UTF-8": _wide(lambda text: [len(char.encode("utf-8", "surrogatepass")) for char in text]),
    "with two characters for a line break, which has one here": _wide(lambda text: [1 + (c == "\n") for c in text]),
    "with one character for a line break, which has two here": _wide(_short_breaks),
    "in the text with composed accents": _composed,
    "in the text with its accents apart": _wide(lambda text: [len(unicodedata.normalize("NFD", c)) for c in text]),
    "in the text with single blanks, and none at its start": _wide(_single_blanks),
    "in the text without its markup": _wide(_without_markup),
    "with the last character as their end": lambda text: lambda start, end: (start, end + 1),
    "from 1, with the last character as their end": lambda text: lambda start, end: (max(start - 1, 0), end),
    "from 1": lambda text: lambda start, end: (max(start - 1, 0), end - 1),
}
