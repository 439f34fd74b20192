"""Answers that are chosen from a fixed set of labels: judged, and measured by accuracy, macro F1 and Cohen's kappa."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from typing_extensions import override

from scd_lightning.data.judgement import Judgement
from scd_lightning.data.normal_form import NFC, NormalForm
from scd_lightning.data.samples import Sample
from scd_lightning.tasks.measures import ByLabel, Floats, LabelKey, Mean, Measure, Row


def judge_choice(sample: Sample, answer: str | int, form: NormalForm = NFC) -> Judgement:
    """Holds a chosen candidate against the gold one.

    Args:
        sample: A sample with candidates, whose gold answer is one of them or a label that train lacks.
        answer: The candidate's index, or its text; other text is malformed.
        form: What counts as the same text.
    """
    assert sample.candidates is not None
    if isinstance(answer, int):
        text = sample.candidates[answer]
    else:
        text = form.among(answer.strip(), (*sample.candidates, sample.gold))
    known = text in sample.candidates
    return Judgement(sample.id, text, sample.gold, float(text == sample.gold), malformed=not known)


def choice_measures(settings: Mapping[str, Any]) -> dict[str, Measure]:
    """The measures of a choice task, the default first.

    Args:
        settings: The task's: all L "labels", in their order of degree where they are "ordered".
    """
    labels = tuple(settings["labels"])
    kappa = Kappa(labels, bool(settings["ordered"]))
    return {"accuracy": Mean("correct"), "macro_f1": MacroF1(labels), "kappa": kappa, "malformed": Mean("malformed")}


@dataclass(frozen=True)
class ByChoice(ByLabel):
    """Each sample's gold label against the one chosen; a malformed answer has none.

    Attributes:
        labels: All labels that the settings know, in their order.
    """

    labels: tuple[str, ...]

    of_row = ("answer", "gold", "malformed")

    @override
    def gold(self, row: Row, sample: Row) -> list[LabelKey]:
        return [(row["gold"],)]

    @override
    def answered(self, row: Row, sample: Row) -> list[LabelKey]:
        return [] if row["malformed"] else [(row["answer"],)]


@dataclass(frozen=True)
class _OfLabels(Measure):
    labels: tuple[str, ...]

    of_row = ("answer", "gold", "malformed")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {label: place for place, label in enumerate(self.labels)}

    def columns(self, rows: Sequence[Row], samples: Sequence[Row]) -> Floats | None:
        """What each of S samples adds, [S, D]; None also where saved rows name labels that the settings lack."""
        try:
            return super().columns(rows, samples)
        except KeyError:  # of _places: the fields are all there
            return None

    def _one_hot(self, row: Row) -> tuple[Floats, Floats]:
        """Gold and answer [L]; an answer that is no label is zeros."""
        gold, answered = np.zeros((2, len(self.labels)))
        gold[self._places[row["gold"]]] = 1
        if not row["malformed"]:
            answered[self._places[row["answer"]]] = 1
        return gold, answered


@dataclass(frozen=True)
class MacroF1(_OfLabels):
    """Mean F1 over the labels that occur in gold or answers, as scikit-learn has it.

    Attributes:
        labels: All L labels.
    """

    @property
    def width(self) -> int:
        """2 L."""
        return 2 * len(self.labels)

    def sums(self, row: Row, sample: Row) -> Floats:  # type: ignore[override]
        """Hits by label, and gold plus answers by label."""
        gold, answered = self._one_hot(row)
        return np.concatenate([gold * answered, gold + answered])

    def value(self, sums: Floats) -> Floats:
        """The mean of the labels' F1."""
        hits, both = np.split(sums, 2, axis=1)
        return (2 * hits / np.maximum(both, 1)).sum(1) / np.maximum((both > 0).sum(1), 1)


@dataclass(frozen=True)
class Kappa(_OfLabels):
    """Cohen's kappa, with linear weights where labels are ordered; 0 where chance alone would agree always.

    An answer that is no label is as far from each label as can be.

    Attributes:
        labels: All L labels, in their order of degree where they have one.
        ordered: Whether they have.
    """

    ordered: bool = False

    @property
    def width(self) -> int:
        """1 + L + L + 1."""
        return 2 * len(self.labels) + 2

    @cached_property
    def _distance(self) -> Floats:
        """[L, L + 1], from each label to each answer, the last of which is none."""
        count = len(self.labels)
        place = np.arange(count)
        apart = np.abs(place[:, None] - place) if self.ordered else place[:, None] != place
        farthest = np.full((count, 1), max(count - 1, 1) if self.ordered else 1)
        return np.hstack([apart, farthest]).astype(np.float64)

    def sums(self, row: Row, sample: Row) -> Floats:  # type: ignore[override]
        """The distance, gold by label, answers by label and the answers that are none."""
        gold, answered = self._one_hot(row)
        answers = np.append(answered, 1 - answered.sum())
        return np.concatenate([[gold @ self._distance @ answers], gold, answers])

    def value(self, sums: Floats) -> Floats:
        """One minus the distance over that which chance would have."""
        count = len(self.labels)
        observed, expected, answers = sums[:, 0], sums[:, 1 : count + 1], sums[:, count + 1 :]
        by_chance = ((expected @ self._distance) * answers).sum(1) / np.maximum(expected.sum(1), 1)
        return np.where(by_chance > 0, 1 - observed / np.where(by_chance > 0, by_chance, 1), 0.0)
