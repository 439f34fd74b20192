"""What a student answers, typed by what it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scd_lightning.tasks.entity_scores import Entity


@dataclass(frozen=True)
class Mention(Entity):
    """An entity that a student has named.

    Attributes:
        probability: The student's own of it, given those that it has named before.
        confidence: What that is worth: about this share of such entities is right. None where it was not measured.
    """

    probability: float | None = None
    confidence: float | None = None

    def row(self) -> dict[str, Any]:
        """As JSON has it."""
        row = {"start": self.start, "end": self.end, "label": self.label, "text": self.text}
        return row | _known(probability=self.probability, confidence=self.confidence)


@dataclass(frozen=True)
class Given:
    """An answer, or why there is none.

    Attributes:
        id: The row's id.
        answer: The answer as text; None where there is none.
        probability: The student's own of it: of a label or a choice among all candidates, of a generated text among all
            texts.
        confidence: What that is worth: about this share of such answers is right. None where it was not measured, and
            of entities, each of which has its own.
        guess: The answer, where the student is not as sure of it, or of one of its entities, as was asked for: then
            there is no other.
        by: "fallback" where another student was asked that.
        shortened: Whether the text was cut to what the student can read.
        error: Why there is no answer; None where there is one.
    """

    id: str
    answer: str | None = None
    probability: float | None = None
    confidence: float | None = None
    guess: str | None = None
    by: str | None = None
    shortened: bool = False
    error: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something of it is not as sure as was asked for."""
        return self.guess is not None

    def row(self) -> dict[str, Any]:
        """The answer as JSON has it; what goes without saying is left out."""
        row: dict[str, Any] = {"id": self.id, "answer": self.answer, "probability": self.probability}
        row |= _known(confidence=self.confidence, guess=self.guess, by=self.by)
        row |= {"shortened": True} if self.shortened else {}
        return row | _known(error=self.error)


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
        unsure: Those of which the student is not as sure as was asked for.
        malformed: Whether a part of the answer could not be read.
    """

    entities: tuple[Mention, ...] = ()
    unsure: tuple[Mention, ...] = ()
    malformed: bool = False

    def row(self) -> dict[str, Any]:
        """As elsewhere, with "entities": {"start", "end", "label", "text", "probability", "confidence"} each."""
        row = super().row() | {"entities": [each.row() for each in self.entities]}
        row |= {"unsure": [each.row() for each in self.unsure]} if self.unsure else {}
        return row | ({"malformed": True} if self.malformed else {})


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
