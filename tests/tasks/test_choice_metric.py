import random
import warnings

import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from scd_lightning.data.judgement import Judgement
from scd_lightning.tasks.choice_metric import ChoiceMetric, cohen_kappa, macro_f1

LABELS = ["A", "B", "C", "D"]


def judge(predicted, expected):
    return Judgement("", str(predicted), expected, float(predicted == expected), predicted is None, predicted, expected)


def draw(seed, count=60, skew=False):
    generator = random.Random(seed)
    gold = [generator.choice("AAAB" if skew else LABELS) for _ in range(count)]
    return [answer if generator.random() < 0.6 else generator.choice(LABELS) for answer in gold], gold


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("skew", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_against_scikit_learn(seed, skew, ordered):
    predicted, gold = draw(seed, skew=skew)
    metric = ChoiceMetric(LABELS, ordered=ordered)
    metric.update([judge(*pair) for pair in zip(predicted, gold, strict=True)])
    values = {name: value.item() for name, value in metric.compute().items()}
    weights = "linear" if ordered else None
    assert values["accuracy"] == pytest.approx(accuracy_score(gold, predicted))
    assert values["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro"))
    assert values["kappa"] == pytest.approx(cohen_kappa_score(gold, predicted, labels=LABELS, weights=weights))
    assert values["malformed"] == 0


def test_malformed_answers_are_wrong_and_a_class_of_their_own_for_kappa():
    predicted, gold = draw(3)
    predicted[:6] = [None] * 6
    metric = ChoiceMetric(LABELS)
    metric.update([judge(*pair) for pair in zip(predicted, gold, strict=True)])
    values = metric.compute()
    named = [answer or "none" for answer in predicted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f1_score(gold, named, average="macro", labels=LABELS)
    assert values["accuracy"].item() == pytest.approx(accuracy_score(gold, named))
    assert values["macro_f1"].item() == pytest.approx(expected)
    assert values["kappa"].item() == pytest.approx(cohen_kappa_score(gold, named))
    assert values["malformed"].item() == pytest.approx(6 / 60)


def test_linear_weights_by_hand():
    # Two answers are right; one is a step off and one malformed, which is as far as from A to C.
    confusion = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    observed = (1 + 2) / 4
    # Expected distance: gold A (1/2), B (1/4), C (1/4); answers A (1/4), B (1/2), none (1/4).
    by_chance = (
        (1 / 2) * (1 / 2 * 1 + 1 / 4 * 2)
        + (1 / 4) * (1 / 4 * 1 + 1 / 4 * 2)
        + (1 / 4) * (1 / 4 * 2 + 1 / 2 * 1 + 1 / 4 * 2)
    )
    assert cohen_kappa(confusion, ordered=True).item() == pytest.approx(1 - observed / by_chance)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_degenerate_counts_are_numbers():
    nothing = torch.zeros(3, 4, dtype=torch.long)
    assert macro_f1(nothing) == cohen_kappa(nothing, ordered=False) == 0
    one_class = torch.tensor([[5, 0, 0], [0, 0, 0]])
    assert macro_f1(one_class) == 1
    assert cohen_kappa(one_class, ordered=True) == 0
    assert all(value.isfinite() for value in ChoiceMetric(["only"]).compute().values())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_uneven_shards_add_up():
    predicted, gold = draw(1)
    judgements = [judge(*pair) for pair in zip(predicted, gold, strict=True)]
    whole, parts = ChoiceMetric(LABELS), [ChoiceMetric(LABELS) for _ in range(3)]
    whole.update(judgements)
    for part, shard in zip(parts, (judgements[:7], judgements[7:], []), strict=True):
        part.update(shard)
    summed = ChoiceMetric(LABELS)
    summed.confusion += sum(part.confusion for part in parts)
    assert summed.compute() == whole.compute()
