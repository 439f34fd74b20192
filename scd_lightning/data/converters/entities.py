"""Entities in other forms: tagged tokens, and strings without a place."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from scd_lightning.data.class_names import apply_names
from scd_lightning.data.converters.base import Converter, with_values
from scd_lightning.data.rows import Row

WITHOUT_TOKENS = "rows without tokens"
WITHOUT_PLACE = "strings that the text does not have"


class TaggedTokens(Converter):
    """Tokens and their BIO tags to `text` and `entities`. A row with `entities` passes; one without tokens is left out.

    Entities start at B-, and at an I- that does not go on with the label before it.

    Args:
        tokens: The column of the tokens.
        tags: The column of their tags: O, B-label or I-label, or their numbers.
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
    def __call__(self, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
        kept = [row for row in rows if "entities" in row.values or row.values.get(self.tokens) != []]
        lost[WITHOUT_TOKENS] += len(rows) - len(kept)
        return [row if "entities" in row.values else self._convert(row) for row in kept]

    def _convert(self, row: Row) -> Row:
        tokens = row.require(self.tokens, "a list of tokens")
        tags = row.require(self.tags, "a list of tags")
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise row.error(self.tokens, "has the wrong type", repr(tokens), "a list of strings")
        if not isinstance(tags, list) or len(tags) != len(tokens):
            raise row.error(self.tags, "does not fit the tokens", repr(tags), f"a list of {len(tokens)} tags")
        tags = apply_names({self.tags: tags}, {self.tags: self.names or ()})[self.tags]
        spans = self._spans(row, tags)
        starts = [0]
        for token in tokens:
            starts.append(starts[-1] + len(token) + len(self.joiner))
        text = self.joiner.join(tokens)
        entities = [_entity(text, label, starts[a], starts[b] - len(self.joiner)) for label, a, b in spans]
        return with_values(row, [self.tokens, self.tags], text=text, entities=entities)

    def _spans(self, row: Row, tags: Sequence[Any]) -> list[tuple[str, int, int]]:
        """(label, first token, the one after the last) of each entity."""
        spans: list[tuple[str, int, int]] = []
        inside = None
        for i, tag in enumerate(tags):
            prefix, _, label = tag.partition("-") if isinstance(tag, str) else ("", "", "")
            if tag != "O" and (prefix not in ("B", "I") or not label):
                raise row.error(f"{self.tags}[{i}]", "is no tag", repr(tag), "O, B-label or I-label")
            if prefix == "I" and label == inside:
                spans[-1] = (label, spans[-1][1], i + 1)
            elif tag != "O":
                spans.append((label, i, i + 1))
            inside = None if tag == "O" else label
        return spans


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
