"""How entities are written as text, one a line, and read back into spans."""

import re
from collections.abc import Iterable, Iterator

from scd_lightning.data.normal_form import NFC, NormalForm
from scd_lightning.data.occurrences import SearchedText
from scd_lightning.tasks.entity_labels import known_labels
from scd_lightning.tasks.entity_places import EntityPlaces
from scd_lightning.tasks.entity_scores import Entity, Match, same_entity

NONE = {"en": "none", "ja": "なし"}
_LINE_BREAKS = re.compile(r"[\r\n]")
# What may stand between label and string. Another one than the first is needed where a longer label would be read, as
# "A: B" of the label A and the string "B: C". No label has two blanks.
_SEPARATORS = (": ", " : ", "： ", "  : ")


def one_line(text: str) -> str:
    """The text with each line break as a blank: as long as before, so that offsets stay."""
    return _LINE_BREAKS.sub(" ", text)


def lines_of(answer: str) -> list[str]:
    """The lines of an answer that are to be entities; none of the word for none."""
    lines = [line.strip() for line in answer.strip().split("\n")]
    return [] if len(lines) == 1 and lines[0] in NONE.values() else lines


def readable(answer: str, labels: Iterable[str], form: NormalForm = NFC) -> list[bool]:
    """Which of these lines `EntityLines.read` reads; where their entities are is not looked for.

    Args:
        answer: The answer.
        labels: The known labels.
        form: What counts as the same string.
    """
    known = known_labels(frozenset(labels), form)
    return [known.split(line) is not None for line in lines_of(answer)]


class EntityLines:
    """The lines of one answer, read or written in order: where an entity is depends on the lines before it.

    Args:
        text: The whole input text.
        labels: The known labels.
        form: What counts as the same string.

    Attributes:
        numbered: Whether a line that was written says by a number which place is meant.
    """

    def __init__(self, text: str, labels: Iterable[str], form: NormalForm = NFC) -> None:
        self.numbered = False
        self._text = one_line(text)
        self._searched = SearchedText(self._text, form)
        self._places = EntityPlaces(self._searched)
        self._labels = known_labels(frozenset(labels), form)

    def read(self, answer: str) -> tuple[list[Entity], bool]:
        """Reads an answer, whatever it is.

        Returns:
            The entity of each line that can be read, without a place where the text has none for it, and whether
            anything could not be read.
        """
        found = [self._take(self._read(line)) for line in lines_of(answer)]
        return [entity for entity in found if entity is not None], None in found

    def write(self, entities: Iterable[Entity], match: Match = "spans") -> list[str]:
        """A line for each entity, in the order given, that is read as this one.

        That is "label: string" wherever it will do; else the string has a number behind it, which says which of its
        places in the text is meant.

        Args:
            entities: Entities of the text.
            match: What makes two entities the same one.
        """
        return [self._write(entity, match) for entity in entities]

    def _write(self, entity: Entity, match: Match) -> str:
        for said in self._strings(entity):
            for separator in _SEPARATORS:
                line = f"{entity.label}{separator}{said}"
                if same_entity(read := self._read(line), entity, match):
                    self._take(read)
                    self.numbered |= said != entity.text
                    return line
        # None is read as this one: its label can't be told from another, say.
        line = f"{entity.label}{_SEPARATORS[0]}{entity.text}"
        self._take(self._read(line))
        return line

    def _strings(self, entity: Entity) -> Iterator[str]:
        """What its string may be written as, the plainest first."""
        yield entity.text
        if entity.start is not None and entity.end is not None:
            yield self._places.numbered(entity.text, (entity.start, entity.end))

    def _read(self, line: str) -> Entity | None:
        """What a line would be read as, were it the next one."""
        split = self._labels.split(line)
        if split is None:
            return None
        label, said = split
        place = self._places.find(label, said)
        if place is not None:
            return Entity(label, self._text[slice(*place)], *place)
        # The text's own characters also where all its places are taken.
        return Entity(label, next((self._text[slice(*each)] for each in self._searched.places(said)), said))

    def _take(self, entity: Entity | None) -> Entity | None:
        if entity is not None and entity.start is not None and entity.end is not None:
            self._places.take(entity.label, (entity.start, entity.end))
        return entity
