"""Micro precision, recall and F1 of named entities, on spans and on sets of strings."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric

from scd_lightning.data.judgement import Judgement


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


@dataclass(frozen=True)
class Counts:
    """Entities hit, answered and expected."""

    hits: int
    answered: int
    expected: int

    @property
    def f1(self) -> float:
        """F1; 1 where nothing was answered and nothing expected."""
        both = self.answered + self.expected
        return 2 * self.hits / both if both else 1.0


def span_counts(predicted: Sequence[Entity], expected: Sequence[Entity]) -> Counts:
    """Counts equal (label, start, end); an entity that the text does not have counts as answered, never as a hit."""
    placed = {(entity.label, entity.start, entity.end) for entity in predicted if entity.start is not None}
    misplaced = sum(entity.start is None for entity in predicted)
    gold = {(entity.label, entity.start, entity.end) for entity in expected}
    return Counts(len(placed & gold), len(placed) + misplaced, len(gold))


def string_counts(predicted: Sequence[Entity], expected: Sequence[Entity]) -> Counts:
    """Counts equal (label, text), each once however often it occurs."""
    answered = {(entity.label, entity.text) for entity in predicted}
    gold = {(entity.label, entity.text) for entity in expected}
    return Counts(len(answered & gold), len(answered), len(gold))


class EntityMetric(Metric):
    """Micro precision, recall and F1 on spans and on string sets, and the share of malformed answers."""

    full_state_update = False
    spans: Tensor
    strings: Tensor
    malformed: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("spans", "strings"):
            self.add_state(name, torch.zeros(3, dtype=torch.long), dist_reduce_fx="sum")
        for name in ("malformed", "total"):
            self.add_state(name, torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, judgements: Sequence[Judgement]) -> None:
        """Counts judgements whose `predicted` and `expected` are sequences of entities."""
        for judgement in judgements:
            spans = span_counts(judgement.predicted, judgement.expected)
            strings = string_counts(judgement.predicted, judgement.expected)
            self.spans += self.spans.new_tensor([spans.hits, spans.answered, spans.expected])
            self.strings += self.strings.new_tensor([strings.hits, strings.answered, strings.expected])
            self.malformed += judgement.malformed
            self.total += 1

    def compute(self) -> dict[str, Tensor]:
        """The metrics by name, float tensors."""
        strings = {f"string_{name}": value for name, value in _micro(self.strings).items()}
        malformed = (self.malformed / self.total.clamp(min=1)).float()
        return {**_micro(self.spans), **strings, "malformed": malformed}


def _micro(counts: Tensor) -> dict[str, Tensor]:
    """Precision, recall and F1 from [hits, answered, expected]: 0 where undefined, 1 where nothing was to do."""
    hits, answered, expected = counts.double()
    if answered + expected == 0:
        return {name: torch.ones((), device=counts.device) for name in ("precision", "recall", "f1")}
    values = {
        "precision": hits / answered.clamp(min=1),
        "recall": hits / expected.clamp(min=1),
        "f1": 2 * hits / (answered + expected),
    }
    return {name: value.float() for name, value in values.items()}
