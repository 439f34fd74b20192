"""What a model is sure of or not: an answer, or an entity of one, held against the gold answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scd_lightning.tasks.measures import Floats

_SEED = 0
# Digits of probabilities in files.
_DIGITS = 9


@dataclass(frozen=True, eq=False)
class Units:
    """N answers, or entities of answers.

    Attributes:
        probability: [N], the model's own of each.
        right: [N], 1 for those that are right, else 0.
        text: [N], number of the text that each is about; those of one text depend on one another.
    """

    probability: Floats
    right: Floats
    text: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.probability)

    @property
    def texts(self) -> int:
        """How many texts have any."""
        return len(np.unique(self.text))

    def where(self, chosen: NDArray[np.bool_]) -> "Units":
        """Those that are chosen [N]."""
        return Units(self.probability[chosen], self.right[chosen], self.text[chosen])

    def halves(self) -> tuple["Units", "Units"]:
        """Two halves of the texts, drawn at random, the same ones each time."""
        texts = np.unique(self.text)
        first = np.random.default_rng(_SEED).permutation(texts)[: (len(texts) + 1) // 2]
        chosen = np.isin(self.text, first)
        return self.where(chosen), self.where(~chosen)

    def as_json(self) -> dict[str, list[Any]]:
        """As files have them."""
        right = self.right.astype(int)
        return {"probability": self.probability.tolist(), "right": right.tolist(), "text": self.text.tolist()}


def units_of(rows: Sequence[Mapping[str, Any]]) -> Units:
    """Those of judged answers.

    Args:
        rows: Rows of predictions/*.jsonl, each with its "units": [probability, right].
    """
    found = [(*unit, number) for number, row in enumerate(rows) for unit in row["units"]]
    probability, right, text = zip(*found, strict=True) if found else ((), (), ())
    return _units([float(f"{each:.{_DIGITS}g}") for each in probability], right, text)


def read_units(saved: Mapping[str, Any]) -> Units:
    """What `as_json` has given.

    Raises:
        KeyError, TypeError, ValueError: It is not that.
    """
    found = _units(saved["probability"], saved["right"], saved["text"])
    if not len(found.probability) == len(found.right) == len(found.text):
        raise ValueError("columns of unequal lengths")
    if not np.all((found.probability >= 0) & (found.probability <= 1)) or not np.all(np.isin(found.right, (0, 1))):
        raise ValueError("no probabilities, or neither right nor wrong")
    return found


def _units(probability: Sequence[float], right: Sequence[float], text: Sequence[int]) -> Units:
    return Units(np.array(probability, np.float64), np.array(right, np.float64), np.array(text, np.int64))
