"""What a model answers."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a model answers.

    Attributes:
        value: Index of the best candidate, or generated text.
        probability: The model's own of it: of a candidate among all of the sample's, of a text among all texts, the end
            token included where it was reached; None where it was not asked for.
        shares: Of each of the sample's candidates likewise, [C]; equal ones, which are one answer, have it each.
        lines: Of each line of a generated text, given those before it.
        ended: Whether it is whole; not so of a text that was cut where the model would have gone on.
    """

    value: str | int
    probability: float | None = None
    shares: Sequence[float] | None = None
    lines: Sequence[float] | None = None
    ended: bool = True
