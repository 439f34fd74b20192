"""Entities in other forms: tagged tokens, and strings without a place."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import override

from scd_lightning.data.cells import list_cell
from scd_lightning.data.class_names import apply_names
from scd_lightning.data.converters.base import Converter, with_values
from scd_lightning.data.converters.tags import EXPECTED, read_tag, scheme, spans, unknown
from scd_lightning.data.rows import Row, shorten
from scd_lightning.errors import DataError

_SHOWN = 3
WITHOUT_TOKENS = "rows without tokens"
WITHOUT_PLACE = "strings that the text does not have"


class TaggedTokens(Converter):
    """Tokens and their tags to `text` and `entities`. A row with `entities` passes; one without tokens is left out.

    Tags are of BIO, IOB1, BILOU, BIOES or BMES: entities start at B-, and at any other that does not go on with the
    label before it.

    Args:
        tokens: The column of the tokens; a list, one as text in a cell, or a text with blanks between its tokens.
        tags: The column of their tags, such as O, B-label or I-label, or their numbers; in the same forms.
        joiner: What stands between two tokens in the text: a blank, or nothing in scripts without.
        names: The tags in the order of their numbers; None where the data has the tags themselves.
    """

    joins_rows = False

    def __init__(
        self, tokens: str = "tokens", tags: str = "tags", joiner: str = " ", names: Sequence[str] | None = None
    ) -> None:
        self.tokens, self.tags, self.joiner, self.names = tokens, tags, joiner, names
        self.answers = (tags,)

    @override
    def look(self, rows: Sequence[Row]) -> list[str]:
        tags = [tag for row in rows for tag in self._tags(row)]
        if strange := unknown(tags):
            raise self._no_scheme(rows, strange)
        name = scheme(tags)
        return [] if name is None else [f'The tags in "{self.tags}" are {name}, and read so.']

    def _tags(self, row: Row) -> list[Any]:
        """The tags of a row, where it has some that can be read."""
        if "entities" in row.values:
            return []
        try:
            tags = self._named(words_of(list_cell(row, self.tags)))
        except DataError:
            return []
        return tags if isinstance(tags, list) else []

    def _no_scheme(self, rows: Sequence[Row], strange: Counter[str]) -> DataError:
        numbers = all(tag.isdecimal() for tag in strange)
        way = "names: [O, B-label, I-label, ...] of TaggedTokens lists the tags in the order of their numbers"
        return DataError(
            f'The tags in "{self.tags}" are of no scheme that is known: they don\'t say where entities begin',
            where=rows[0].file,
            got=f"{strange.total()} tags besides O, such as {', '.join(map(shorten, [*strange][:_SHOWN]))}",
            expected=EXPECTED,
            remedy=way
            if numbers
            else "write B- before the label of an entity's first token, I- before those that follow",
        )

    @override
    def __call__(self, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
        kept = [row for row in rows if "entities" in row.values or list_cell(row, self.tokens) != []]
        lost[WITHOUT_TOKENS] += len(rows) - len(kept)
        return [row if "entities" in row.values else self._convert(row) for row in kept]

    def _convert(self, row: Row) -> Row:
        row.require(self.tokens, "a list of tokens")
        row.require(self.tags, "a list of tags")
        given = list_cell(row, self.tokens)
        tokens = given.split() if isinstance(given, str) else given
        tags = words_of(list_cell(row, self.tags))
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise row.error(self.tokens, "has the wrong type", repr(tokens), "a list of strings")
        if not isinstance(tags, list) or len(tags) != len(tokens):
            raise row.error(self.tags, "does not fit the tokens", repr(tags), f"a list of {len(tokens)} tags")
        text = given if isinstance(given, str) else self.joiner.join(tokens)
        places = list(_places(text, tokens))
        found = spans(self._read(row, self._named(tags)))
        entities = [_entity(text, label, places[a][0], places[b - 1][1]) for label, a, b in found]
        return with_values(row, [self.tokens, self.tags], text=text, entities=entities)

    def joined(self, row: Row) -> Row:
        """The row with a text of its tokens, where it has tokens and no text."""
        tokens = row.values.get(self.tokens)
        if "text" in row.values or not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            return row
        return with_values(row, text=self.joiner.join(tokens))

    def _named(self, tags: Any) -> Any:
        return apply_names({self.tags: tags}, {self.tags: self.names or ()})[self.tags]

    def _read(self, row: Row, tags: Sequence[Any]) -> list[tuple[str, str]]:
        read = [read_tag(tag) for tag in tags]
        if None in read:
            i = read.index(None)
            raise row.error(f"{self.tags}[{i}]", "is no tag", repr(tags[i]), EXPECTED)
        return [each for each in read if each is not None]


def words_of(cell: Any) -> Any:
    """The words of a text, which stand between blanks or else between commas; what is no text, as it is.

    >>> words_of("O B-TOWN"), words_of("O,B-TOWN"), words_of(["O"])
    (['O', 'B-TOWN'], ['O', 'B-TOWN'], ['O'])
    """
    if not isinstance(cell, str):
        return cell
    words = cell.split()
    return words[0].split(",") if len(words) == 1 else words


def _places(text: str, tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where tokens stand in the text that they make up, one behind another."""
    end = 0
    for token in tokens:
        start = text.index(token, end)
        end = start + len(token)
        yield start, end


class PlacedStrings(Converter):
    """Finds places for the entities that lack one: objects of `entities` with "label" and "text" alone.

    Of each label, the longest string first gets its first occurrence that no other string of that label has yet, or
    else its first one; a string that a label has twice counts once. Strings that the text does not have are counted
    and left out.
    """

    joins_rows = False

    @override
    def __call__(self, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
        return [_placed(row, lost) if _lacks_places(row) else row for row in rows]


def _lacks_places(row: Row) -> bool:
    entities = row.values.get("entities")
    return isinstance(entities, list) and any(isinstance(each, dict) and "start" not in each for each in entities)


def _placed(row: Row, lost: Counter[str]) -> Row:
    text = row.string("text")
    strings = {_string(row, i, entity) for i, entity in enumerate(row.values["entities"])}
    taken: dict[str, list[tuple[int, int]]] = {}
    entities = []
    for label, string in sorted(strings, key=lambda pair: (pair[0], -len(pair[1]), pair[1])):
        start = _place(text, string, taken.setdefault(label, []))
        if start < 0:
            lost[WITHOUT_PLACE] += 1
            continue
        taken[label].append((start, start + len(string)))
        entities.append(_entity(text, label, start, start + len(string)))
    return with_values(row, entities=sorted(entities, key=lambda each: (each["start"], each["end"], each["label"])))


def _string(row: Row, i: int, entity: Any) -> tuple[str, str]:
    if not isinstance(entity, dict) or "start" in entity:
        expected = 'objects with "label" and "text", all of them without "start" and "end"'
        raise row.error(f"entities[{i}]", "is another kind than the others", repr(entity), expected)
    label, text = (row.check_string(f"entities[{i}].{name}", entity.get(name)) for name in ("label", "text"))
    return label, text


def _place(text: str, string: str, taken: Sequence[tuple[int, int]]) -> int:
    """Where the string first stands free of those taken, else where it first stands, -1 for nowhere."""
    first = at = text.find(string)
    while at >= 0:
        if all(end <= at or at + len(string) <= start for start, end in taken):
            return at
        at = text.find(string, at + 1)
    return first


def _entity(text: str, label: str, start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "text": text[start:end]}
