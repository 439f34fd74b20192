"""What a student answers, typed by what it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scd_lightning.tasks.entity_scores import Entity


@dataclass(frozen=True)
class Given:
    """An answer, or why there is none.

    Attributes:
        id: The row's id.
        answer: The answer as text; None where there is none.
        probability: The student's own of it: of a label or a choice among all candidates, of a generated text among all
            texts.
        shortened: Whether the text was cut to what the student can read.
        error: Why there is no answer; None where there is one.
    """

    id: str
    answer: str | None = None
    probability: float | None = None
    shortened: bool = False
    error: str | None = None

    def row(self) -> dict[str, Any]:
        """The answer as JSON has it; what goes without saying is left out."""
        row: dict[str, Any] = {"id": self.id, "answer": self.answer, "probability": self.probability}
        row |= {"shortened": True} if self.shortened else {}
        return row | ({"error": self.error} if self.error is not None else {})


@dataclass(frozen=True)
class Chosen(Given):
    """A label, a letter or a word, chosen among candidates.

    Attributes:
        shares: Each candidate's probability, to +- .001.
    """

    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Written(Given):
    """A generated text."""


@dataclass(frozen=True)
class Found(Given):
    """Named entities, in the order of the answer.

    Attributes:
        entities: The entities; what the text does not have has no place in it.
        malformed: Whether a part of the answer could not be read.
    """

    entities: tuple[Entity, ...] = ()
    malformed: bool = False

    def row(self) -> dict[str, Any]:
        """As elsewhere, with "entities": {"start", "end", "label", "text"} each."""
        entities = [
            {"start": each.start, "end": each.end, "label": each.label, "text": each.text} for each in self.entities
        ]
        return super().row() | {"entities": entities} | ({"malformed": True} if self.malformed else {})
