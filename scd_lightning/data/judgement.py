"""An answer held against the gold one: what tasks make, files keep and metrics count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Judgement:
    """One judged answer.

    Attributes:
        id: The sample's id.
        answer: The answer as text.
        gold: The gold answer as text.
        score: 0 to 1; 1 - score is the task error.
        malformed: Whether the answer could not be read, in whole or in part.
        facts: What else the task's metrics need to know of the answer, JSON values.
    """

    id: str
    answer: str
    gold: str
    score: float
    malformed: bool
    facts: Mapping[str, Any] = field(default_factory=dict)

    def row(self, loss: float | None = None) -> dict[str, Any]:
        """A line of predictions/*.jsonl.

        Args:
            loss: The model's mean completion-token loss on the gold answer, in nats.
        """
        row = {"id": self.id, "answer": self.answer, "gold": self.gold, "correct": self.score, "loss": loss}
        return {**row, "malformed": self.malformed, **self.facts}
