"""An answer held against the gold one: what data modules make and metrics count."""

from dataclasses import dataclass
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
        predicted: The answer as the task's metric wants it.
        expected: The gold answer as the task's metric wants it.
    """

    id: str
    answer: str
    gold: str
    score: float
    malformed: bool
    predicted: Any
    expected: Any
