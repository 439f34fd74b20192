"""Accuracy, macro F1 and Cohen's kappa of answers chosen from a fixed set of labels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_confusion_matrix

from scd_lightning.data.judgement import Judgement


def macro_f1(confusion: Tensor) -> Tensor:
    """Mean F1 over the classes that occur in gold or answers, as scikit-learn has it.

    Args:
        confusion: [L, L + 1] counts, gold labels by answers; the last column is for answers that are no label.
    """
    hits = confusion.diagonal()
    gold, answered = confusion.sum(dim=1), confusion[:, :-1].sum(dim=0)
    seen = gold + answered > 0
    f1 = 2 * hits[seen] / (gold + answered)[seen].double()
    return f1.mean() if seen.any() else torch.zeros((), dtype=torch.double)


def cohen_kappa(confusion: Tensor, *, ordered: bool) -> Tensor:
    """Cohen's kappa, with linear weights where labels are ordered; 0 where chance alone would agree always.

    Args:
        confusion: [L, L + 1] counts as in `macro_f1`. Answers that are no label are as far from each label as can be.
        ordered: Whether labels stand in an order of degree.
    """
    classes = len(confusion)
    place = torch.arange(classes, dtype=torch.double)
    distance = (place[:, None] - place).abs() if ordered else (place[:, None] != place).double()
    farthest = torch.full((classes, 1), float(max(classes - 1, 1) if ordered else 1), dtype=torch.double)
    distance = torch.cat([distance, farthest], dim=1).to(confusion.device)
    counts = confusion.double()
    expected = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0) / counts.sum().clamp(min=1)
    by_chance = (distance * expected).sum()
    return 1 - (distance * counts).sum() / by_chance if by_chance > 0 else torch.zeros_like(by_chance)


class ChoiceMetric(Metric):
    """Accuracy, macro F1, kappa and the share of malformed answers.

    Args:
        labels: All L labels, in their order of degree where they have one.
        ordered: Whether they have; kappa is linear-weighted then.
    """

    full_state_update = False
    confusion: Tensor

    def __init__(self, labels: Sequence[str], *, ordered: bool = False) -> None:
        super().__init__()
        self.place = {label: i for i, label in enumerate(labels)}
        self.ordered = ordered
        size = len(self.place)
        self.add_state("confusion", torch.zeros(size, size + 1, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, judgements: Sequence[Judgement]) -> None:
        """Counts judgements whose `expected` is a label, and `predicted` one or None for an answer that is none."""
        if not judgements:
            return
        size = len(self.place)
        predicted = torch.tensor([self.place.get(judgement.predicted, size) for judgement in judgements])
        expected = torch.tensor([self.place[judgement.expected] for judgement in judgements])
        counts = multiclass_confusion_matrix(predicted, expected, num_classes=size + 1, validate_args=False)
        self.confusion += counts[:size].to(self.confusion)

    def compute(self) -> dict[str, Tensor]:
        """The metrics by name, float tensors."""
        total = self.confusion.sum().clamp(min=1).double()
        values = {
            "accuracy": self.confusion.diagonal().sum() / total,
            "macro_f1": macro_f1(self.confusion),
            "kappa": cohen_kappa(self.confusion, ordered=self.ordered),
            "malformed": self.confusion[:, -1].sum() / total,
        }
        return {name: value.float() for name, value in values.items()}
