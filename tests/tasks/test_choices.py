import random
import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from scd_lightning.tasks.choices import Kappa, MacroF1, choice_measures

LABELS = ["A", "B", "C", "D"]


def measure(predicted, gold, labels=LABELS, *, ordered=False):
    """All measures of these answers, None for one that is no label."""
    rows = [
        {"answer": str(answer), "gold": each, "correct": float(answer == each), "malformed": answer is None}
        for answer, each in zip(predicted, gold, strict=True)
    ]
    values = {}
    for name, of in choice_measures({"labels": labels, "ordered": ordered}).items():
        columns = of.columns(rows, [])
        assert columns is not None
        values[name] = float(of.value(columns.sum(0, keepdims=True))[0])
    return values


def draw(seed, count=60, skew=False):
    generator = random.Random(seed)
    gold = [generator.choice("AAAB" if skew else LABELS) for _ in range(count)]
    return [answer if generator.random() < 0.6 else generator.choice(LABELS) for answer in gold], gold


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("skew", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_against_scikit_learn(seed, skew, ordered):
    predicted, gold = draw(seed, skew=skew)
    values = measure(predicted, gold, ordered=ordered)
    weights = "linear" if ordered else None
    assert values["accuracy"] == pytest.approx(accuracy_score(gold, predicted))
    assert values["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro"))
    assert values["kappa"] == pytest.approx(cohen_kappa_score(gold, predicted, labels=LABELS, weights=weights))
    assert values["malformed"] == 0


def test_malformed_answers_are_wrong_and_a_class_of_their_own_for_kappa():
    predicted, gold = draw(3)
    predicted[:6] = [None] * 6
    values = measure(predicted, gold)
    named = [answer or "none" for answer in predicted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f1_score(gold, named, average="macro", labels=LABELS)
    assert values["accuracy"] == pytest.approx(accuracy_score(gold, named))
    assert values["macro_f1"] == pytest.approx(expected)
    assert values["kappa"] == pytest.approx(cohen_kappa_score(gold, named))
    assert values["malformed"] == pytest.approx(6 / 60)


def test_linear_weights_by_hand():
    # Two answers are right; one is a step off and one malformed, which is as far as from A to C.
    values = measure(["A", "B", "B", None], ["A", "A", "B", "C"], ["A", "B", "C"], ordered=True)
    observed = (1 + 2) / 4
    # Expected distance: gold A (1/2), B (1/4), C (1/4); answers A (1/4), B (1/2), none (1/4).
    by_chance = (
        (1 / 2) * (1 / 2 * 1 + 1 / 4 * 2)
        + (1 / 4) * (1 / 4 * 1 + 1 / 4 * 2)
        + (1 / 4) * (1 / 4 * 2 + 1 / 2 * 1 + 1 / 4 * 2)
    )
    assert values["kappa"] == pytest.approx(1 - observed / by_chance)


def test_degenerate_counts_are_numbers():
    assert set(measure([], []).values()) == {0.0}
    one_class = measure(["A"] * 5, ["A"] * 5, ["A", "B"], ordered=True)
    assert (one_class["macro_f1"], one_class["kappa"]) == (1, 0)
    for of in (MacroF1(("only",)), Kappa(("only",))):
        assert np.isfinite(of.value(np.zeros((3, of.width)))).all()


@pytest.mark.parametrize(("answer", "gold"), [("A", "gone"), ("gone", "A")])
def test_saved_rows_that_name_an_unknown_label_give_nothing(answer, gold):
    row = {"answer": answer, "gold": gold, "correct": 0.0, "malformed": False}
    assert MacroF1(tuple(LABELS)).columns([row], []) is None
    assert Kappa(tuple(LABELS)).columns([row], []) is None
