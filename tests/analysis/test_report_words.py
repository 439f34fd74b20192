from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.intervals import RunIntervals
from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.report_words import caveats, verdict_sentence


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, 0.95, 1, 300)


def record(method: str = "scd", **data) -> RunRecord:
    metrics = {"teacher": {"f1": 0.8}, "student": {"f1": 0.82}}
    results = {"primary_metric": "f1", "method": method, "metrics": metrics, "data": data}
    return RunRecord(results, {}, {}, [], {}, {}, [], {})


def found(lead: Interval, teacher: float = 0.8) -> RunIntervals:
    models = {name: {"f1": interval(value, 0, 1)} for name, value in (("teacher", teacher), ("student", 0.82))}
    pairs = {("student", "teacher"): {"f1": lead}, ("student", "anchor"): {"f1": interval(0.1, 0.05, 0.15)}}
    return RunIntervals(models, pairs, "f1", 300)


def test_verdict_has_its_interval_and_the_anchors():
    assert verdict_sentence(record(), found(interval(0.02, 0.01, 0.03))) == (
        "The student beats its teacher on the 300 test samples: f1 0.820 against 0.800, +0.020 (95 % interval +0.010 "
        "to +0.030); against its anchor, the same model fine-tuned alone: +0.100 (95 % interval +0.050 to "
        "+0.150)."
    )


def test_verdict_goes_by_the_interval():
    assert "can't be told apart" in verdict_sentence(record(), found(interval(0.02, -0.01, 0.03)))
    assert "stays behind" in verdict_sentence(record(), found(interval(-0.02, -0.03, -0.01)))


def test_plain_fine_tuning_has_no_anchor_beside_itself():
    assert "anchor" not in verdict_sentence(record("sft"), found(interval(0.02, 0.01, 0.03)))


def test_without_intervals_the_numbers_alone_are_said():
    assert verdict_sentence(record(), RunIntervals()).endswith("f1 0.820 against 0.800 (+0.020).")


def test_an_anchor_that_was_brought_along_is_no_equal_budget():
    brought = record()
    brought.results["imported"] = {"anchor": {}}
    notes = caveats(brought, found(interval(0.02, 0.01, 0.03)))
    assert any("budget of its own" in note for note in notes)
    assert any("elsewhere: anchor. Whether that training has seen" in note for note in notes)


def test_caveats_name_trainings_that_had_not_converged():
    short = record()
    short.results["budget"] = {"stages": 4, "stage_epochs": 2, "teacher_epochs": 8}
    short.results["convergence"] = [{"model": "teacher", "kind": "checkpoint", "change": 0.05}]
    notes = caveats(short, found(interval(0.02, 0.01, 0.03)))
    assert any("The teacher had not converged" in note for note in notes)


def test_caveats_name_what_weakens_the_verdict():
    [seed] = caveats(record(), found(interval(0.02, 0.01, 0.03)))
    assert "one seed" in seed
    shared = record(overlap={"train/test": 2}, unseen_labels={"LAW": 3}, rejected={"train": 4, "test": 0})
    notes = " ".join(caveats(shared, found(interval(0, 0, 0), teacher=0)))
    for part in ("train/test 2", "LAW 3", "left out (train 4", "no width", "Score 0: teacher"):
        assert part in notes
