"""A sample of a task, and what is left of it where it is too long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CUT_MARK = "…"
# What tells samples apart, in the order in which a reader wants it.
_SHOWN_FIELDS = ("context", "text", "question", "choices")


@dataclass(frozen=True)
class Sample:
    """One prompt and its gold answer.

    Attributes:
        id: The row's id, unique in its split.
        fields: What fills the template.
        cuttable: Fields of free text that may be cut where the sample is too long.
        completion: The gold answer as a model should write it.
        gold: The gold answer as the task's scoring wants it; whole, whatever is cut.
        labels: Labels that occur in the gold answer.
        candidates: All answers of a choice task, or None where answers are generated.
    """

    id: str
    fields: Mapping[str, str]
    cuttable: tuple[str, ...]
    completion: str
    gold: Any
    labels: tuple[str, ...]
    candidates: tuple[str, ...] | None = None

    def describe(self) -> dict[str, Any]:
        """{"id", "input": the free text and the choices, "labels": those of the gold answer}."""
        parts = [self.fields[name] for name in _SHOWN_FIELDS if self.fields.get(name)]
        return {"id": self.id, "input": "\n\n".join(parts), "labels": list(self.labels)}


@dataclass(frozen=True)
class Cut:
    """What is left of a free text: its first `head` and its last `tail` characters."""

    field: str
    head: int
    tail: int

    def apply(self, text: str) -> str:
        """The text with a mark where characters are left out."""
        return text[: self.head] + CUT_MARK + text[len(text) - self.tail :] if self.head or self.tail else ""

    def shows(self, start: int, end: int, length: int) -> bool:
        """Whether the characters from `start` to `end` of a text of `length` are still there."""
        return end <= self.head or start >= length - self.tail
