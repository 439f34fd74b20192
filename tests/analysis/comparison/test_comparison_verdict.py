import json

import pytest

from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_verdict import conclusions, introduction, missing, verdict


def said(runs) -> list[tuple[str, list[int]]]:
    """Each sentence, and the sides of its clauses on other models."""
    (setting,) = compare(runs).settings
    return [(sentence.text, [side for _, side in sentence.parts[1::2]]) for sentence in verdict(setting)]


@pytest.mark.parametrize(
    ("right", "side", "text"),
    [
        (70, 1, "scd_aw is above plain fine-tuning (its anchor) by 0.200 (95 % interval"),
        (30, -1, "scd_aw is below plain fine-tuning (its anchor) by 0.200 (95 % interval"),
        (51, 0, "scd_aw is higher than plain fine-tuning (its anchor) by 0.010, not told apart (95 % interval"),
        (50, 0, "scd_aw is equal to plain fine-tuning (its anchor), whichever samples are drawn; equal to its teacher"),
    ],
)
def test_verdict_goes_by_the_interval(make_answered, right, side, text):
    ((found, where),) = said([make_answered("run", right)])
    assert found.startswith(text)
    assert where == [side, side]


def test_a_method_below_fine_tuning_is_said_to_be_so_and_how_it_stands_to_its_teacher(make_answered):
    rights = {"sft": (60, 61, 62), "td": (40, 42, 41), "scd": (63, 60, 63)}
    runs = [
        make_answered(f"{method}-{seed}", right, seed=seed, draw=seed, method=method)
        for method, of_seed in rights.items()
        for seed, right in enumerate(of_seed)
    ]
    (sft, of_sft), (td, of_td), (scd, of_scd) = said(runs)
    assert sft.startswith("sft, plain fine-tuning, is above its teacher by 0.110 (95 % interval +0.085 to +0.135).")
    assert td.startswith("td is below plain fine-tuning by 0.200 (95 % interval -0.")
    assert "; below its teacher by 0.090 (95 % interval" in td
    assert scd.startswith(
        "scd (best on validation) is higher than plain fine-tuning by 0.010, 2 of 3 draws, not told apart"
    )
    assert (of_sft, of_td, of_scd) == ([1], [-1, -1], [0, 1])


def test_the_introduction_says_split_score_and_number(make_answered):
    runs = [make_answered(f"run-{seed}", 60, seed=seed, evaluated="validation") for seed in (0, 1)]
    assert introduction(compare(runs).settings[0]) == "accuracy on the validation split, 2 seeds:"
    one = compare(runs[:1]).settings[0]
    assert introduction(one) == "accuracy on the validation split, one seed, so other seeds are unknown:"
    more = [*runs, make_answered("other", 60, method="td", evaluated="validation")]
    assert introduction(compare(more).settings[0]) == "accuracy on the validation split, 1 to 2 seeds:"


def test_each_table_is_named_where_there_are_several(make_answered):
    comparison = compare([make_answered("a", 60), make_answered("b", 60, evaluated="validation")])
    (first, _), (second, _) = conclusions(comparison)
    assert first.startswith(
        "classification: accuracy on the test split, teacher-small -> student-small. accuracy on the test"
    )
    assert "validation split" in second


def test_validation_says_where_it_does_not_decide(make_answered):
    first, second = said([make_answered("a", 60, method="td"), make_answered("b", 60, method="scd")])
    assert first[0].startswith("td (one of 2 equally good on validation) is above plain")
    assert second[0].startswith("scd (one of 2 equally good on validation) is above plain")


def test_of_several_settings_validation_chooses_the_one_that_is_spoken_of(make_answered):
    runs = []
    for method, rights in (("sft", (55, 60)), ("td", (52, 58)), ("scd", (70, 20))):
        for lr, right in enumerate(rights):
            runs.append(make_answered(f"{method}-{lr}", right, method=method))
            (runs[-1] / "config.yaml").write_text(json.dumps({"student": {"optimizer": {"lr": lr}}}))
    sft, td, scd = (text for text, _ in said(runs))
    assert sft.startswith("sft lr=1 (of 2 settings the best on validation), plain fine-tuning, is above its teacher")
    assert td.startswith("td lr=1 (of 2 settings the best on validation) is lower than plain fine-tuning (sft lr=1) by")
    assert scd.startswith("scd lr=0 (best on validation) is above plain fine-tuning (sft lr=1) by 0.100")


def test_verdict_names_another_score_where_samples_do_not_give_the_metric(make_answered):
    folder = make_answered("run", 70)
    results = json.loads((folder / "results.json").read_text())
    results |= {"primary_metric": "kappa", "metrics": {"teacher": {"kappa": 0.1}, "student": {"kappa": 0.4}}}
    (folder / "results.json").write_text(json.dumps(results))
    (setting,) = compare([folder]).settings
    assert introduction(setting).startswith("Mean sample score on the test split")
    assert "by 0.200 (95 % interval" in verdict(setting)[0].text


def test_without_saved_samples_there_is_no_interval(make_run):
    ((text, sides),) = said([make_run("run")])
    assert text == (
        "scd_aw is higher than plain fine-tuning (its anchor) by 0.087, without an interval; higher than its teacher "
        "by 0.021, without an interval."
    )
    assert sides == [0, 0]


def test_a_model_without_scores_is_not_compared(make_run):
    folder = make_run("run")
    results = json.loads((folder / "results.json").read_text())
    del results["metrics"]["anchor"]
    (folder / "results.json").write_text(json.dumps(results))
    ((text, _),) = said([folder])
    assert text.startswith("scd_aw is not compared with plain fine-tuning: scores are missing; higher than its teacher")


def test_runs_that_are_missing_are_counted(make_run, tmp_path):
    (tmp_path / "cut").mkdir()
    assert missing(compare([make_run("run")])) == ""
    assert missing(compare([tmp_path / "run", tmp_path / "cut"])).startswith("Without 1 run that did not finish")
