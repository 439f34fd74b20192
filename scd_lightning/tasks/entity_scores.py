"""Micro precision, recall and F1 of named entities, on spans and on sets of strings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from typing_extensions import override

from scd_lightning.tasks.measures import ByLabel, Floats, LabelKey, Mean, Measure, Row


@dataclass(frozen=True)
class Entity:
    """A named entity.

    Attributes:
        label: Its type.
        text: Its surface.
        start: Where it starts in the text, in characters, or None where the text does not have it.
        end: Where it ends, exclusive, or None.
    """

    label: str
    text: str
    start: int | None = None
    end: int | None = None


# [label, text, start, end], as files have it.
EntityRow = Sequence[Any]
Match = Literal["spans", "strings"]
Side = Literal["precision", "recall", "f1"]


def entity_rows(entities: Iterable[Entity]) -> list[list[Any]]:
    """Entities as files have them."""
    return [[each.label, each.text, each.start, each.end] for each in entities]


class Counts(NamedTuple):
    """Entities hit, answered and expected."""

    hits: int
    answered: int
    expected: int

    @property
    def f1(self) -> float:
        """F1; 1 where nothing was answered and nothing expected."""
        both = self.answered + self.expected
        return 2 * self.hits / both if both else 1.0


def count_entities(answered: Iterable[EntityRow], expected: Iterable[EntityRow], match: Match) -> Counts:
    """Counts the entities of one sample, each once.

    Args:
        answered: A model's.
        expected: The gold ones.
        match: By "spans" equal (label, start, end) are a hit; one that the text does not have counts as answered, and
            is never a hit. By "strings" equal (label, text) are one, however often they occur.
    """
    said, wanted = entity_keys(answered, match), entity_keys(expected, match)
    return Counts(len(set(said) & set(wanted)), len(said), len(wanted))


def entity_keys(entities: Iterable[EntityRow], match: Match) -> list[LabelKey]:
    """What makes two entities of a sample the same one, each once; by "spans" what the text does not have each time."""
    if match == "strings":
        return list(dict.fromkeys((label, text) for label, text, *_ in entities))
    keys = [(label, start, end) for label, _, start, end in entities]
    return [*dict.fromkeys(key for key in keys if key[1] is not None), *(key for key in keys if key[1] is None)]


def same_entity(one: Entity | None, other: Entity, match: Match) -> bool:
    """Whether two entities of a sample are the same one, by what `count_entities` goes by."""
    return one is not None and entity_keys(entity_rows([one]), match) == entity_keys(entity_rows([other]), match)


def entity_measures() -> dict[str, Measure]:
    """All measures, by the names that results have for them."""
    sides: tuple[Side, ...] = ("precision", "recall", "f1")
    spans: dict[str, Measure] = {side: EntityScore("spans", side) for side in sides}
    strings = {f"string_{side}": EntityScore("strings", side) for side in sides}
    return {**spans, **strings, "malformed": Mean("malformed")}


@dataclass(frozen=True)
class EntitiesByLabel(ByLabel):
    """The types of entities.

    Attributes:
        match: See `count_entities`.
    """

    match: Match

    title = "Types of entities"
    of_row = of_sample = ("entities",)

    @property
    def strings(self) -> bool:  # type: ignore[override]
        """Whether strings are matched, each once a sample."""
        return self.match == "strings"

    @override
    def gold(self, row: Row, sample: Row) -> list[LabelKey]:
        return entity_keys(sample["entities"], self.match)

    @override
    def answered(self, row: Row, sample: Row) -> list[LabelKey]:
        return entity_keys(row["entities"], self.match)


@dataclass(frozen=True)
class EntityScore(Measure):
    """Micro precision, recall or F1: 1 where nothing was to do, 0 where only the other side has entities.

    Attributes:
        match: See `count_entities`.
        side: Which of the three.
    """

    match: Match
    side: Side

    width = 3
    of_row = of_sample = ("entities",)

    def sums(self, row: Row, sample: Row) -> Counts:
        """Hits, and entities answered and expected."""
        return count_entities(row["entities"], sample["entities"], self.match)

    def value(self, sums: Floats) -> Floats:
        """Hits over one of the other sums, or over the mean of both."""
        hits, answered, expected = sums.T
        of = {"precision": answered, "recall": expected, "f1": (answered + expected) / 2}[self.side]
        return np.where(answered + expected > 0, hits / np.where(of > 0, of, 1), 1.0)
