"""Exact match and token F1 of generated answers, as SQuAD has them; characters for Japanese and Chinese."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from scd_lightning.data.judgement import Judgement

_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Kana, kanji and hanzi stand alone; all else goes by white space.
_UNITS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


def answer_units(text: str) -> list[str]:
    """The units of an answer: lower case, without punctuation and English articles, width variants made equal.

    Example:
        >>> answer_units("The  Eiffel Tower!")
        ['eiffel', 'tower']
        >>> answer_units("東京タワー、２０")
        ['東', '京', 'タ', 'ワ', 'ー', '20']
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    bare = "".join(char for char in folded if not unicodedata.category(char).startswith("P"))
    return _UNITS.findall(_ARTICLES.sub(" ", bare))


def exact_match(answer: str, golds: Sequence[str]) -> bool:
    """Whether an answer has the same units as one of the gold ones."""
    units = answer_units(answer)
    return any(units == answer_units(gold) for gold in golds)


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """F1 of an answer's units against the gold answer that fits best; 1 where both have none."""
    return max(_overlap_f1(answer_units(answer), answer_units(gold)) for gold in golds)


def _overlap_f1(units: list[str], gold: list[str]) -> float:
    if not units and not gold:
        return 1.0
    common = (Counter(units) & Counter(gold)).total()
    return 2 * common / (len(units) + len(gold))


class AnswerMetric(Metric):
    """Mean exact match and token F1 of generated answers, and the share of malformed ones."""

    full_state_update = False
    exact: Tensor
    f1: Tensor
    malformed: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("exact", "f1", "malformed", "total"):
            self.add_state(name, torch.zeros((), dtype=torch.double), dist_reduce_fx="sum")

    def update(self, judgements: Sequence[Judgement]) -> None:
        """Counts judgements whose `predicted` is a string and `expected` the gold answers, any of which will do."""
        for judgement in judgements:
            self.exact += exact_match(judgement.predicted, judgement.expected)
            self.f1 += token_f1(judgement.predicted, judgement.expected)
            self.malformed += judgement.malformed
            self.total += 1

    def compute(self) -> dict[str, Tensor]:
        """The metrics by name, float tensors."""
        total = self.total.clamp(min=1)
        sums = {"exact_match": self.exact, "token_f1": self.f1, "malformed": self.malformed}
        return {name: (value / total).float() for name, value in sums.items()}
