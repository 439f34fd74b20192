import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import cohen_kappa_score, f1_score

from scd_lightning.analysis.records import RunRecord, read_run
from scd_lightning.analysis.run.intervals import run_intervals
from scd_lightning.analysis.statistics import Statistic, statistic
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER

LABELS = ["low", "middle", "high"]


def answered(seed: int, right: float, samples: int = 80) -> list[dict]:
    draw = np.random.default_rng(seed)
    golds = np.random.default_rng(99).choice(LABELS, samples, p=[0.6, 0.3, 0.1])
    rows = []
    for index, gold in enumerate(golds):
        answer = str(gold if draw.random() < right else draw.choice(LABELS))
        row = {"id": str(index), "answer": answer, "gold": str(gold), "correct": float(answer == gold), "loss": 1.0}
        rows.append(row | {"malformed": False})
    return rows


def record(metric: str, settings: dict, samples: list[dict] | None = None, **rows: list[dict]) -> RunRecord:
    task = Classification if "labels" in settings else NER
    measure, values = task.measures({"ordered": False, **settings})[metric], {}
    for name, of_model in rows.items():
        columns = measure.columns(of_model, samples or [])
        assert columns is not None
        values[name] = {metric: Statistic(measure, columns).value}
    data = {"settings": {"ordered": False, **settings}}
    results = {"primary_metric": metric, "metrics": values, "data": data}
    return RunRecord(results, {}, {}, [], {}, rows, samples or [], {}, task=task)


def test_macro_f1_and_kappa_are_those_of_scikit_learn():
    rows = answered(0, 0.5)
    gold, said = [row["gold"] for row in rows], [row["answer"] for row in rows]

    def ours(metric: str, **settings) -> float:
        found = statistic(record(metric, {"labels": LABELS, **settings}, student=rows), "student", metric)
        assert found is not None
        return found.value

    assert ours("macro_f1") == pytest.approx(f1_score(gold, said, average="macro"))
    assert ours("kappa") == pytest.approx(cohen_kappa_score(gold, said))
    assert ours("kappa", ordered=True) == pytest.approx(cohen_kappa_score(gold, said, labels=LABELS, weights="linear"))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "kappa"])
def test_intervals_are_those_of_scipy(metric):
    ours, theirs = answered(1, 0.8), answered(2, 0.5)
    found = run_intervals(record(metric, {"labels": LABELS}, teacher=theirs, student=ours))

    def score(rows):
        gold, said = [row["gold"] for row in rows], [row["answer"] for row in rows]
        if metric == "accuracy":
            return np.mean(np.equal(gold, said))
        return f1_score(gold, said, average="macro") if metric == "macro_f1" else cohen_kappa_score(gold, said)

    def difference(index):
        return score([ours[i] for i in index.astype(int)]) - score([theirs[i] for i in index.astype(int)])

    theirs_found = bootstrap(
        (np.arange(len(ours)),), difference, n_resamples=300, vectorized=False, method="percentile", rng=3
    ).confidence_interval
    lead = found.differences["student", "teacher"][metric]
    assert (lead.value, lead.samples, lead.level) == (pytest.approx(score(ours) - score(theirs)), 80, 0.95)
    assert (lead.low, lead.high) == pytest.approx((theirs_found.low, theirs_found.high), abs=0.04)


def test_micro_f1_is_resampled_by_its_counts():
    # Ten entities in one sample, one in each of the others: a mean of the samples' own F1 would be 0.5.
    gold: list[dict] = [{"id": "0", "entities": [["P", "x", i, i + 1] for i in range(10)]}]
    gold += [{"id": str(i), "entities": [["P", "x", 0, 1]]} for i in range(1, 12)]
    rows: list[dict] = [{**sample, "correct": 0, "loss": 1} for sample in gold]
    for row in rows[1::2]:
        row["entities"] = []
    found = run_intervals(record("f1", {"match": "spans"}, gold, teacher=rows, student=rows))
    draw, values = np.random.default_rng(5), []
    for _ in range(4000):
        chosen = draw.integers(12, size=12)
        hits = sum(len(rows[i]["entities"]) for i in chosen)
        values.append(2 * hits / (hits + sum(len(gold[i]["entities"]) for i in chosen)))
    own = found.models["student"]["f1"]
    assert own.value == pytest.approx(2 * 15 / (15 + 21))
    assert (own.low, own.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)
    assert found.differences["student", "teacher"]["f1"].low == 0 == found.differences["student", "teacher"]["f1"].high


def test_a_metric_that_the_rows_do_not_give_leaves_the_samples_own_scores(full_run):
    found = run_intervals(read_run(full_run))
    assert found.primary == "sample score"
    rows = read_run(full_run).predictions["student"]
    assert found.models["student"]["sample score"].value == pytest.approx(np.mean([row["correct"] for row in rows]))


def test_runs_without_predictions_have_none(make_run):
    bare = run_intervals(read_run(make_run("bare")))
    assert (bare.models, bare.differences) == ({}, {})


def test_equal_input_gives_equal_intervals():
    one = record("accuracy", {"labels": LABELS}, teacher=answered(1, 0.5), student=answered(2, 0.7))
    assert run_intervals(one) == run_intervals(replace(one, results=json.loads(json.dumps(one.results))))


def test_precision_without_an_answer_is_zero_and_has_an_interval():
    gold = [{"id": str(i), "entities": [["P", "x", 0, 1]]} for i in range(5)]
    rows = [{**sample, "entities": [], "correct": 0, "loss": 1} for sample in gold]
    own = run_intervals(record("precision", {}, gold, teacher=rows)).models["teacher"]["precision"]
    assert (own.value, own.low, own.high) == (0, 0, 0)
