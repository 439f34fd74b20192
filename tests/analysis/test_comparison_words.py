import json

import pytest

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison import compare
from scd_lightning.analysis.comparison_words import bounds, verdict, warnings


@pytest.fixture
def make_answered(make_run):
    """A finished run whose student is right on so many of 100 samples, and its teacher on 50."""

    def make(name: str, right: int, **settings):
        folder = make_run(name, student=right / 100, **settings)
        results = json.loads((folder / "results.json").read_text())
        results["primary_metric"] = "accuracy"
        results["metrics"] = {"teacher": {"accuracy": 0.5}, "student": {"accuracy": right / 100}}
        (folder / "results.json").write_text(json.dumps(results))
        for model, count in (("teacher", 50), ("student", right)):
            answers = ["A" if i < count else "B" for i in range(100)]
            rows = [
                json.dumps(
                    {
                        "id": str(i),
                        "answer": answer,
                        "gold": "A",
                        "correct": float(answer == "A"),
                        "loss": 0.1,
                        "malformed": False,
                    }
                )
                for i, answer in enumerate(answers)
            ]
            (folder / "predictions" / f"{model}.jsonl").write_text("\n".join(rows))
        (folder / "curves.json").write_text(json.dumps({"student": [{"epoch": 0, "validation_metric": right / 100}]}))
        return folder

    return make


@pytest.mark.parametrize(
    ("right", "outcome"),
    [
        (70, "beats its teacher"),
        (30, "stays behind its teacher"),
        (51, "can't be told apart from its teacher"),
        (50, "can't be told apart from its teacher"),
    ],
)
def test_verdict_goes_by_the_interval(make_answered, right, outcome):
    (setting,) = compare([make_answered("run", right)]).settings
    text = verdict(setting)
    assert text.startswith(f"The student of scd_aw {outcome} on the test split: accuracy 0.{right}0 against 0.500, ")
    assert "95 % interval" in text
    assert text.endswith("1 seed and 100 samples).")


def test_verdict_is_on_the_method_that_validation_prefers(make_answered):
    runs = [make_answered("a", 60, method="td"), make_answered("b", 40, method="scd")]
    assert verdict(compare(runs).settings[0]).startswith("The student of td, best of 2 on the validation split, beats")


def test_verdict_says_where_validation_does_not_decide(make_answered):
    runs = [make_answered("a", 60, method="td"), make_answered("b", 60, method="scd")]
    text = verdict(compare(runs).settings[0])
    assert text.startswith("The student of td, the first of 2 that are equally good on the validation split, ")


def test_verdict_names_another_score_where_the_metric_is_no_mean(make_answered):
    folder = make_answered("run", 70)
    results = json.loads((folder / "results.json").read_text())
    results |= {"primary_metric": "kappa", "metrics": {"teacher": {"kappa": 0.1}, "student": {"kappa": 0.4}}}
    (folder / "results.json").write_text(json.dumps(results))
    (setting,) = compare([folder]).settings
    assert "kappa 0.400 against 0.100 (+0.300), and +0.200 in the mean sample score (95 % interval" in verdict(setting)


def test_verdict_without_validation_picks_nothing(make_run):
    assert verdict(compare([make_run("run")]).settings[0]).startswith("No method is picked")


def test_warnings_name_what_makes_rows_less_comparable(make_run):
    runs = [make_run("a", method="td", seed=0), make_run("b", method="td", seed=1), make_run("c", method="scd", seed=0)]
    (text,) = warnings(compare(runs).settings[0])
    assert "do not have the same seeds (td: 0, 1; scd: 0)" in text
    (one,) = warnings(compare(runs[:1]).settings[0])
    assert "one run" in one


def test_bounds_have_signs():
    assert bounds(Interval(0.0, -0.01, 0.25, 0.95, 1, 10)) == "-0.010 to +0.250"
    assert bounds(None) == "–"


def test_macro_f1_has_an_interval_of_its_own(make_answered):
    folder = make_answered("run", 70)
    f1 = {"teacher": 2 * 50 / 150 / 2, "student": 2 * 70 / 170 / 2}
    results = json.loads((folder / "results.json").read_text())
    results |= {"primary_metric": "macro_f1", "metrics": {model: {"macro_f1": value} for model, value in f1.items()}}
    (folder / "results.json").write_text(json.dumps(results))
    (setting,) = compare([folder]).settings
    assert setting.score == "macro_f1"
    lead = setting.rows[0].lead
    assert lead is not None
    assert lead.value == pytest.approx(f1["student"] - f1["teacher"])
    assert lead.low < lead.value < lead.high
