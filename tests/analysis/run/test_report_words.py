import pytest

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run.intervals import RunIntervals
from scd_lightning.analysis.run.report_words import caveats, verdict_sentence


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, 0.95, 1, 300)


def record(method: str = "scd", **data) -> RunRecord:
    metrics = {"teacher": {"f1": 0.8}, "student": {"f1": 0.82}}
    results = {"primary_metric": "f1", "method": method, "metrics": metrics, "data": data}
    return RunRecord(results, {}, {}, [], {}, {}, [], {})


def found(lead: Interval, teacher: float = 0.8) -> RunIntervals:
    models = {
        name: {"f1": interval(value, 0, 1)}
        for name, value in (("teacher", teacher), ("anchor", 0.72), ("student", 0.82))
    }
    pairs = {("student", "teacher"): {"f1": lead}, ("student", "anchor"): {"f1": interval(0.1, 0.05, 0.15)}}
    return RunIntervals(models, pairs, "f1", 300)


def test_verdict_names_all_scores_and_both_differences():
    assert verdict_sentence(record(), found(interval(-0.02, -0.03, -0.01))) == (
        "f1 on the 300 test samples: student 0.820, anchor 0.720, teacher 0.800. The student is above plain "
        "fine-tuning (its anchor) by 0.100 (95 % interval +0.050 to +0.150); below its teacher by 0.020 (95 % "
        "interval -0.030 to -0.010)."
    )


def test_verdict_goes_by_the_interval():
    text = verdict_sentence(record(), found(interval(0.02, -0.01, 0.03)))
    assert "higher than its teacher by 0.020, not told apart (95 % interval -0.010 to +0.030)." in text


def test_plain_fine_tuning_has_no_anchor_beside_itself():
    text = verdict_sentence(record("sft"), found(interval(0.02, 0.01, 0.03)))
    assert "anchor" not in text
    assert text.endswith(
        "The student, fine-tuned alone, is above its teacher by 0.020 (95 % interval +0.010 to +0.030)."
    )


@pytest.mark.parametrize(
    ("student", "text"),
    [
        (0.82, "The student is higher than plain fine-tuning (its anchor) by 0.120; higher than its teacher by 0.020."),
        (0.7, "The student is level with plain fine-tuning (its anchor); lower than its teacher by 0.100."),
    ],
)
def test_without_intervals_the_numbers_alone_are_said(student, text):
    bare = record()
    bare.results["metrics"] = {"teacher": {"f1": 0.8}, "anchor": {"f1": 0.7}, "student": {"f1": student}}
    assert verdict_sentence(bare, RunIntervals()) == (
        f"f1 on the test split: student {student:.3f}, anchor 0.700, teacher 0.800. {text}"
    )


def test_without_a_student_nothing_is_compared():
    bare = record("sft")
    del bare.results["metrics"]["student"]
    assert verdict_sentence(bare, RunIntervals()) == "No comparison of student and teacher on f1 was recorded."


def test_the_split_is_the_one_that_was_evaluated():
    chosen = record()
    chosen.results["evaluated_split"] = "validation"
    lead = found(interval(0.02, 0.01, 0.03))
    assert verdict_sentence(chosen, lead).startswith("f1 on the 300 validation samples: ")
    assert verdict_sentence(chosen, RunIntervals()).startswith("f1 on the validation split: ")
    notes = " ".join(caveats(chosen, lead))
    assert "too good to report" in notes
    assert "other validation samples" in notes
    assert "test" not in notes


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


def test_caveats_repeat_what_was_said_of_the_data():
    doubts = ["Labels that look alike count as different ones: Spam (4), SPAM (2).", "In train, 2 of 6 rows."]
    assert caveats(record(warnings=doubts), found(interval(0.02, 0.01, 0.03)))[-2:] == doubts
