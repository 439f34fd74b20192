"""Per-sample values, histograms and a task's measures over batches and processes."""

import random

import numpy as np
import pytest
import torch

from scd_lightning.tasks.choices import choice_measures
from scd_lightning.training.sums import (
    ExactMetric,
    SampleValues,
    TaskMetric,
    UnitHistogram,
    VectorMetric,
    WeightedMean,
)

MEASURES = choice_measures({"labels": ["A", "B", "C"], "ordered": True})


def test_each_sample_has_its_value_and_padding_none():
    kept = SampleValues(4)
    kept.update(torch.tensor([3.0, 1.0]), torch.tensor([2, 0]), torch.ones(2))
    kept.update(torch.tensor([5.0, float("nan")]), torch.tensor([3, 0]), torch.tensor([1.0, 0.0]))
    np.testing.assert_array_equal(kept.compute(), [1, np.nan, 3, 5])
    kept.reset()
    kept.update(torch.ones(1), torch.tensor([1]), torch.ones(1))
    np.testing.assert_array_equal(kept.compute(), [np.nan, 1, np.nan, np.nan])


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_vector_is_one_whatever_its_length(size):
    kept, counted = SampleValues(size), UnitHistogram(size)
    values = torch.linspace(0.1, 0.9, size)
    kept.update(values, torch.arange(size), torch.ones(size))
    counted.update(values, torch.ones(size))
    assert kept.vector().tolist() == pytest.approx(np.linspace(0.1, 0.9, size))
    assert counted.vector().tolist() == np.histogram(values, bins=size, range=(0, 1))[0].tolist()


def test_every_sum_is_a_vector_or_a_mean():
    """One more that gives a vector belongs among those above."""
    found = {*ExactMetric.__subclasses__(), *VectorMetric.__subclasses__()}
    assert found == {VectorMetric, SampleValues, UnitHistogram, WeightedMean, TaskMetric}


def test_the_histogram_agrees_with_numpy():
    values = np.concatenate([[0.0, 0.25, 0.5, 1.0], np.random.default_rng(0).random(200)])
    counted = UnitHistogram(20)
    for part in np.array_split(values, 3):
        counted.update(torch.from_numpy(part), torch.ones(len(part)))
    counted.update(torch.tensor([0.5]), torch.zeros(1))
    assert counted.compute().tolist() == np.histogram(values, bins=20, range=(0, 1))[0].tolist()
    assert int(counted.compute().sum()) == len(values)


def test_a_mean_keeps_digits_and_leaves_out_padding():
    mean = WeightedMean()
    for _ in range(1000):
        mean.update(torch.tensor([1e4 + 0.1, float("nan")]), torch.tensor([1.0, 0.0]))
    mean.update(torch.tensor([4.0]), torch.tensor([2.0]))
    assert float(mean.compute()) == pytest.approx((1000 * float(torch.tensor(1e4 + 0.1)) + 8) / 1002, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_the_module_around_them_costs_no_digits(dtype):
    mean, kept = WeightedMean(), SampleValues(3)
    torch.nn.ModuleList([mean, kept]).to(dtype=dtype)
    for _ in range(100):
        mean.update(torch.full((16,), 1000.5), torch.ones(16))
    assert float(mean.compute()) == 1000.5
    mean.reset()
    mean.update(torch.tensor([1000.5]), torch.ones(1))
    assert float(mean.compute()) == 1000.5
    kept.update(torch.tensor([1000.5]), torch.tensor([1]), torch.ones(1))
    assert kept.compute().numpy()[1] == 1000.5


def test_a_mean_does_not_hide_a_nan():
    mean = WeightedMean()
    mean.update(torch.tensor([1.0, float("nan")]), torch.ones(2))
    assert mean.compute().isnan()


def rows(count: int) -> list[dict]:
    drawn = random.Random(1)
    pairs = [(drawn.choice("ABC"), drawn.choice("ABC")) for _ in range(count)]
    return [
        {"answer": answer, "gold": gold, "correct": float(answer == gold), "malformed": False} for answer, gold in pairs
    ]


def test_measures_of_uneven_shards_add_up():
    everything = rows(60)
    whole, parts, summed = TaskMetric(MEASURES), [TaskMetric(MEASURES) for _ in range(3)], TaskMetric(MEASURES)
    whole.update(everything, [{}] * 60)
    for part, shard in zip(parts, (everything[:7], everything[7:], []), strict=True):
        part.update(shard, [{}] * len(shard))
    for name in MEASURES:
        state = getattr(summed, f"sums_of_{name}")
        state += sum(getattr(part, f"sums_of_{name}") for part in parts)
    with pytest.warns(UserWarning, match="compute"):
        assert summed.compute() == whole.compute()
    assert whole.compute().keys() == MEASURES.keys()


def test_measures_stay_exact_in_half_precision():
    metric = TaskMetric(MEASURES).bfloat16()
    metric.update(rows(1001), [{}] * 1001)
    expected = sum(row["correct"] for row in rows(1001)) / 1001
    assert float(metric.compute()["accuracy"]) == pytest.approx(expected, abs=1e-7)
