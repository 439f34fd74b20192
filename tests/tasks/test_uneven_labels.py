"""Every number is a number, and within its bounds, however uneven the labels are."""

import random

import numpy as np
import pytest

from scd_lightning.tasks.choices import choice_measures
from scd_lightning.tasks.entity_scores import entity_measures
from scd_lightning.tasks.qa import QA

LABELS = list("ABCDEFG")


def bounds(name):
    return (-1, 1) if name == "kappa" else (0, 1)


def check(measures, rows, samples):
    """Each measure over all rows, over none, and over draws of them, as an interval is taken from."""
    drawn = np.random.default_rng(0).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=20)
    counts = np.concatenate([drawn, np.ones((1, len(rows))), np.zeros((1, len(rows)))])
    for name, measure in measures.items():
        columns = measure.columns(rows, samples)
        assert columns is not None
        with np.errstate(all="raise"):
            values = measure.value(counts @ columns)
        low, high = bounds(name)
        assert np.isfinite(values).all(), name
        assert ((low <= values) & (values <= high)).all(), (name, values)


def uneven(drawn, count):
    """Labels of which one has nearly all rows, some a few and some none."""
    weights = [drawn.choice([0, 0, 1, 2, 50, 1000]) for _ in LABELS]
    return drawn.choices(LABELS, weights if sum(weights) else None, k=count)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_classes(seed, ordered):
    drawn = random.Random(seed)
    count = drawn.choice([1, 2, 3, 60])
    answers = drawn.choice([uneven(drawn, count), [drawn.choice(LABELS)] * count, [None] * count])
    rows = [
        {"gold": gold, "answer": answer or "?", "correct": float(gold == answer), "malformed": answer is None}
        for gold, answer in zip(uneven(drawn, count), answers, strict=True)
    ]
    check(choice_measures({"labels": LABELS, "ordered": ordered}), rows, [])


@pytest.mark.parametrize("seed", range(40))
def test_entities(seed):
    drawn = random.Random(seed)

    def entities(most):
        starts = [drawn.choice([0, 4, 9, None]) for _ in range(drawn.randint(0, most))]
        return [[drawn.choice("PQ"), "Ann", start, start if start is None else start + 3] for start in starts]

    rows = [{"entities": entities(drawn.choice([0, 3])), "malformed": drawn.random() < 0.3} for _ in range(6)]
    check(entity_measures(), rows, [{"entities": entities(drawn.choice([0, 0, 4]))} for _ in rows])


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_texts(score):
    rows = [{"correct": score, "malformed": not score}]
    check(QA.measures({"format": "extractive", "ordered": False, "labels": []}), rows, [])
