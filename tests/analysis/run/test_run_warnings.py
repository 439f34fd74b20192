"""What a run is warned of, in its last lines and in its report."""

import html
import json

import pytest
from rich.console import Console

from scd_lightning.analysis.run.run_pages import write_run_pages
from scd_lightning.analysis.run.run_table import run_line, run_table
from scd_lightning.analysis.run.run_warnings import lost_to_anchor, run_warnings

STALLED = "The schedule stalls in stages 1 and 2: checkpoint 0 teaches again in stage 1, though the student's KL to it"


def results(student=0.7, anchor=0.75, **more):
    metrics = {"teacher": {"f1": 0.8}, "anchor": {"f1": anchor}, "student": {"f1": student}}
    return {"method": "scd", "seed": 0, "primary_metric": "f1", "metrics": metrics} | more


def stalled(stages=3):
    far, near = [2.0, 2.5, 3.0], [0.017, 1.0, 2.0]
    return [
        {"stage": i, "epochs": [i, i], "checkpoint": 0, "best_kl": [1.0, 0.5, 0.0], "student_kl": near if i else far}
        for i in range(stages)
    ]


def test_a_student_below_the_anchor_is_said_to_be_so():
    assert run_warnings(results(), []) == [
        "The student ended below the anchor by 0.050: f1 0.700, where fine-tuning alone reached 0.750."
    ]
    [little] = run_warnings(results(student=0.74999), [])
    assert little.startswith("The student ended below the anchor by 1.0e-05: f1 0.750, ")


@pytest.mark.parametrize(
    "found",
    [
        results(student=0.75),
        results(student=0.8),
        # Plain fine-tuning's student is the anchor.
        results(method="sft"),
        # What a run that ended early has.
        results(metrics={}),
        results(metrics={"teacher": {"f1": 0.8}, "anchor": {"f1": 0.75}}),
    ],
)
def test_other_students_are_not(found):
    assert lost_to_anchor(found) is None
    assert run_warnings(found, []) == []


def test_a_run_in_a_line_says_so_too():
    start = "method scd, seed 0: f1 teacher 0.800, anchor 0.750, student"
    assert run_line(results()) == f"{start} 0.700; the student ended below the anchor by 0.050"
    assert run_line(results(student=0.75)) == f"{start} 0.750"


DIFFERENT = {"id": "a2", "evaluated": "", "exported": "x" * 200}


def checked(**found):
    return results(
        student=0.8, export_check={"asked": 16, "same": 16, "rounding": 0, "different": [], "error": None} | found
    )


def test_a_student_that_was_exported_as_another_one_is_said_to_be_so():
    different = [
        {"id": "a1", "evaluated": "PERSON: Ada\nCITY: Lyon", "exported": "PERSON: Ada"},
        DIFFERENT,
    ]
    [told] = run_warnings(checked(same=11, rounding=1, different=different), [])
    assert told == (
        "The exported student answers otherwise than the evaluated one, asked as its card says: 4 of 16 answers are "
        "others (a1: evaluated 'PERSON: Ada\\nCITY: Lyon', exported 'PERSON: Ada'; a2: evaluated '', exported "
        f"'{'x' * 79}…')."
    )
    [told] = run_warnings(checked(asked=0, same=0, error="no room"), [])
    assert told == "The exported student could not be asked whether it answers as the evaluated one did: no room."


@pytest.mark.parametrize("found", [{"error": "no room"}, {"same": 15, "different": [DIFFERENT]}])
def test_a_run_in_a_line_doubts_its_export(found):
    line = "method scd, seed 0: f1 teacher 0.800, anchor 0.750, student 0.800"
    assert run_line(checked(**found)) == f"{line}; its exported student is in doubt"
    assert run_line(checked()) == line


@pytest.mark.parametrize("found", [{}, {"same": 13, "rounding": 3}, {"asked": 0, "same": 0}])
def test_one_that_answers_alike_or_up_to_rounding_is_not(found):
    assert run_warnings(checked(**found), []) == []


def test_all_warnings_stand_together():
    budget = {"stages": 4, "stage_epochs": 2, "teacher_epochs": 8}
    doubt = {"model": "anchor", "kind": "stage", "change": 0.0346}
    below, stalls, slow = run_warnings(results(budget=budget, convergence=[doubt]), stalled())
    assert below.startswith("The student ended below the anchor by ")
    assert stalls.startswith(f"{STALLED} is 0.017, and 2 to the best one, 2. What helps: method=scheduled_forward, or ")
    assert slow.startswith("The anchor had not converged: ")


@pytest.fixture
def stalled_run(full_run):
    """A run whose student stayed at checkpoint 0, and lost to the anchor by it."""
    for name, key in (("results.json", "schedule"), ("schedule.json", "stages")):
        found = json.loads((full_run / name).read_text())
        stages = [old | new for old, new in zip(found[key], stalled(), strict=False)]
        if "metrics" in found:
            found["metrics"]["student"]["f1"] = 0.08
        (full_run / name).write_text(json.dumps(found | {key: stages}))
    return full_run


def test_the_report_and_the_last_lines_have_them(stalled_run):
    found = json.loads((stalled_run / "results.json").read_text())
    page, verdict = write_run_pages(stalled_run)
    told = run_warnings(found, found["schedule"])
    assert [text[:11] for text in told] == ["The student", "The schedul"]
    console = Console(width=500, record=True)
    console.print(run_table(found, verdict))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert lines[-3:] == [verdict, *told]
    shown = html.unescape(page.read_text(encoding="utf-8"))
    assert all(f'<p class="soft">{text}</p>' in shown for text in told)


def test_a_report_of_a_schedule_that_moves_on_says_among_which_the_lowest_is(full_run):
    text = write_run_pages(full_run)[0].read_text(encoding="utf-8")
    assert text.count("lowest score is chosen") == text.count("the lowest is chosen") == 1
    schedule = json.loads((full_run / "schedule.json").read_text())
    (full_run / "schedule.json").write_text(json.dumps(schedule | {"policy": "ScheduledForward"}))
    text = write_run_pages(full_run)[0].read_text(encoding="utf-8")
    assert "The lowest score of those that the stage may take is chosen (bold)" in text
    assert "; the lowest of those that the stage may take is chosen." in text
