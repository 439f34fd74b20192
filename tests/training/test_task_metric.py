"""A task's measures over batches and processes."""

import random

import pytest

from scd_lightning.tasks.choices import choice_measures
from scd_lightning.training.task_metric import TaskMetric

MEASURES = choice_measures({"labels": ["A", "B", "C"], "ordered": True})


def rows(count: int) -> list[dict]:
    drawn = random.Random(1)
    pairs = [(drawn.choice("ABC"), drawn.choice("ABC")) for _ in range(count)]
    return [
        {"answer": answer, "gold": gold, "correct": float(answer == gold), "malformed": False} for answer, gold in pairs
    ]


def test_uneven_shards_add_up():
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


def test_it_stays_exact_in_half_precision():
    metric = TaskMetric(MEASURES).bfloat16()
    metric.update(rows(1001), [{}] * 1001)
    expected = sum(row["correct"] for row in rows(1001)) / 1001
    assert float(metric.compute()["accuracy"]) == pytest.approx(expected, abs=1e-7)
