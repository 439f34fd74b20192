from pathlib import Path

import pytest
import yaml

from scd_lightning.analysis.run.convergence import PATIENT, Doubt, doubts, judge_curve, judge_trajectory, warnings

ROOT = Path(__file__).parents[3]


def curve(*metrics):
    return [{"epoch": epoch, "validation_metric": metric} for epoch, metric in enumerate(metrics)]


def trajectory(*metrics, steps=None):
    steps = steps or [100 * (i + 1) for i in range(len(metrics))]
    return [{"step": step, "metrics": {"metric": metric}} for step, metric in zip(steps, metrics, strict=True)]


@pytest.mark.parametrize(
    ("metrics", "stage_epochs", "expected"),
    [
        # Two stages of two epochs: the best of the last against the best before.
        ((0.2, 0.5, 0.4, 0.53), 2, ("stage", 0.03)),
        ((0.2, 0.5, 0.53, 0.1), 2, ("stage", 0.03)),
        ((0.2, 0.5, 0.51, 0.505), 2, None),
        ((0.2, 0.82, 0.83, 0.83), 2, None),
        ((0.2, 0.5, 0.4, 0.3), 2, None),
        # Stages before the last may gain what they like.
        ((0.1, 0.5, 0.9, 0.9), 1, None),
        # Ended in the third stage's first epoch.
        ((0.1, 0.2, 0.3, 0.4, 0.6), 2, ("stage", 0.2)),
        # One stage: its last quarter, rounded up.
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.61, 0.7), 8, ("quarter", 0.1)),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.7, 0.7), 8, None),
        ((0.1, 0.2, 0.3, 0.4, 0.6), 5, ("quarter", 0.3)),
        ((0.1, 0.4), 2, ("quarter", 0.3)),
        # What can't be told.
        ((0.5,), 1, None),
        ((), 2, None),
        # Epochs without a validation, or with one of no numbers.
        ((None, 0.5, None, 0.6), 2, ("stage", 0.1)),
        ((0.5, 0.5, None, None), 2, None),
        ((float("nan"), 0.5, float("nan"), 0.5), 2, None),
    ],
)
def test_a_curve_that_still_rises(metrics, stage_epochs, expected):
    found = judge_curve("student", curve(*metrics), stage_epochs)
    assert (found and (found.model, found.kind)) == (expected and ("student", expected[0]))
    if found is not None:
        assert found.change == pytest.approx(expected[1])


@pytest.mark.parametrize(
    ("metrics", "best", "steps", "expected"),
    [
        ((0.2, 0.5, 0.6, 0.65), 3, None, ("checkpoint", 0.05)),
        ((0.2, 0.5, 0.64, 0.65), 3, None, None),
        ((0.2, 0.5, 0.65, 0.6), 2, None, None),
        ((0.2, 0.65, 0.6, 0.6), 1, None, ("half", -0.05)),
        ((0.65, 0.6, 0.6, 0.6), 0, None, ("half", -0.05)),
        # By steps, and not by number.
        ((0.2, 0.65, 0.6, 0.6), 1, [10, 60, 90, 100], None),
        ((0.2, 0.2, 0.65, 0.6), 2, [10, 20, 30, 100], ("half", -0.05)),
        ((0.9,), 0, None, None),
        # A tie goes to the later one, whose loss is lower.
        ((0.5, 0.5, 0.5), 2, None, None),
    ],
)
def test_a_trajectory_that_ends_too_early_or_too_late(metrics, best, steps, expected):
    found = judge_trajectory(trajectory(*metrics, steps=steps), best)
    assert (found and (found.model, found.kind)) == (expected and ("teacher", expected[0]))
    if found is not None:
        assert found.change == pytest.approx(expected[1])


def test_all_models_that_there_are_are_judged():
    rising = {"curve": curve(0.1, 0.2, 0.3, 0.4)}
    teacher = {"best": 1, "trajectory": trajectory(0.1, 0.2), "curve": []}
    stage_epochs = {"anchor": 2, "student": 2}
    found = doubts({"teacher": teacher, "anchor": rising, "student": rising}, stage_epochs)
    assert [(each["model"], each["kind"]) for each in found] == [
        ("teacher", "checkpoint"),
        ("anchor", "stage"),
        ("student", "stage"),
    ]
    assert all(Doubt(**each).change > 0 for each in found)
    assert doubts({"anchor": {"curve": []}}, stage_epochs) == doubts({}, stage_epochs) == []


def test_each_student_is_judged_by_its_own_epochs():
    rising = {"curve": curve(0.1, 0.4, 0.2, 0.5, 0.5, 0.5)}
    found = doubts({"anchor": rising, "student": rising}, {"anchor": 3, "student": 2})
    assert [(each["model"], each["change"]) for each in found] == [("anchor", pytest.approx(0.1))]


def told(doubt, stage_epochs=2, **more):
    budget = {"stages": 4, "stage_epochs": stage_epochs, "teacher_epochs": 8}
    [sentence] = warnings({"method": "scd_aw", "budget": budget, "convergence": [doubt]} | more)
    return sentence


def test_a_student_s_sentence_says_what_helps():
    doubt = {"model": "student", "kind": "stage", "change": 0.0344}
    assert told(doubt) == (
        "The student had not converged: its last stage still gained 0.034 on validation. "
        "Give it more epochs: budget=patient or budget.stage_epochs=4."
    )
    assert told(doubt, stage_epochs=8).endswith("Give it more epochs: budget.stage_epochs=16.")
    assert "the last quarter of its epochs still gained" in told(doubt | {"kind": "quarter"})
    assert told(doubt | {"model": "anchor"}).startswith("The anchor had")
    assert told(doubt | {"model": "anchor"}, method="sft").startswith("The student had")


@pytest.mark.parametrize(
    ("model", "asked", "samples"),
    # Asked for less than an epoch a stage, it has seen one: twice that is more, and twice what was asked for is not.
    [("anchor", 5000, 10000), ("student", 5000, 14400), ("student", 10000, 20000)],
)
def test_with_samples_more_samples_help(model, asked, samples):
    budget = {"stages": 4, "stage_epochs": None, "samples": asked, "teacher_epochs": 8}
    doubt = {"model": model, "kind": "stage", "change": 0.0344}
    told_so = told(doubt, budget=budget, samples_seen={"anchor": 4800, "student": 7200})
    assert told_so.endswith(f"Give it more samples: budget.samples={samples}.")
    assert "patient" not in told_so


def test_a_teacher_s_sentence_says_what_helps():
    rising = {"model": "teacher", "kind": "checkpoint", "change": 0.05}
    assert told(rising) == (
        "The teacher had not converged: its last checkpoint is its best, 0.050 above the one before on validation. "
        "Give it more epochs: teacher.epochs=16."
    )
    assert told(rising | {"kind": "half", "change": -0.02}) == (
        "The teacher overfitted: its best checkpoint lies in the first half of its steps, 0.020 above the last on "
        "validation. Give it fewer epochs than teacher.epochs=8."
    )


def test_a_teacher_that_was_brought_along_can_t_be_given_epochs():
    brought = {"stages": 4, "stage_epochs": 2, "teacher_epochs": None}
    for kind, end in (("checkpoint", "Bring later ones, if there are any."), ("half", "the last on validation.")):
        sentence = told({"model": "teacher", "kind": kind, "change": 0.05}, budget=brought)
        assert sentence.endswith(end)
        assert "teacher.epochs" not in sentence


def test_runs_that_recorded_none_have_no_warnings():
    assert warnings({"method": "td"}) == []


def test_patient_is_as_patient_as_its_file_says():
    assert yaml.safe_load((ROOT / "conf" / "budget" / "patient.yaml").read_text())["stage_epochs"] == PATIENT
