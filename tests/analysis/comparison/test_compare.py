import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import yaml

from scd_lightning.analysis.comparison.compare import compare

SCORES = {("td", 0): 0.79, ("td", 1): 0.8, ("scd_aw", 0): 0.842, ("scd_aw", 1): 0.83}


@pytest.fixture
def sweep(make_run):
    return [
        make_run(f"{method}-{seed}", method=method, seed=seed, student=score)
        for (method, seed), score in SCORES.items()
    ]


def edit(folder: Path, path: str, value: Any) -> Path:
    """Changes a value of a run's results.json, such as "data/digest"."""
    results = json.loads((folder / "results.json").read_text())
    *parents, name = path.split("/")
    place = results
    for key in parents:
        place = place[key]
    place[name] = value
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def configure(folder: Path, **settings: Any) -> Path:
    """Gives a run a config.yaml of `group__name=value`."""
    config: dict[str, Any] = {}
    for name, value in settings.items():
        *parents, last = name.split("__")
        place = config
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def add_predictions(folder: Path, **correct: list[int]) -> Path:
    for model, values in correct.items():
        lines = [json.dumps({"id": str(i), "correct": float(v), "loss": 0.1}) + "\n" for i, v in enumerate(values)]
        (folder / "predictions" / f"{model}.jsonl").write_text("".join(lines))
    return folder


def add_validation(folder: Path, *scores: float | None) -> Path:
    points = [{"epoch": i, "validation_metric": score} for i, score in enumerate(scores)]
    (folder / "curves.json").write_text(json.dumps({"student": points}))
    return folder


def test_mean_and_sample_deviation_over_seeds(sweep):
    (setting,) = compare(sweep).settings
    assert [(row.method, row.n, row.seeds) for row in setting.rows] == [("td", 2, [0, 1]), ("scd_aw", 2, [0, 1])]
    student = setting.rows[1].values["metrics.student.f1"]
    assert student.mean == pytest.approx(0.836)
    assert student.spread == pytest.approx(statistics.stdev([0.842, 0.83]))
    assert setting.rows[1].values["lead"].mean == pytest.approx(0.836 - 0.821)
    assert [run.values["metrics.student.f1"] for run in setting.rows[1].runs] == [0.842, 0.83]


def test_one_seed_has_no_spread(make_run):
    (setting,) = compare([make_run("run")]).settings
    assert all(value.spread is None for value in setting.rows[0].values.values())


def test_equal_settings_and_seed_with_other_results_have_no_spread(make_run):
    (row,) = compare([make_run("slow", student=0.8), make_run("fast", student=0.6)]).settings[0].rows
    assert (row.n, row.seeds, row.repeated) == (2, [0], True)
    assert row.values["metrics.student.f1"].mean == pytest.approx(0.7)
    assert row.values["metrics.student.f1"].spread is None
    assert row.lead is not None
    assert (row.lead.interval, row.lead.value.spread) == (None, None)


def test_settings_that_change_no_number_part_nothing(make_run):
    others = {
        "resume__every_minutes": (5, 10),
        "trainer__wait_minutes": (30, 120),
        "trainer__detect_anomaly": (True, False),
        "trainer__num_nodes": (1, 2),
        "trainer__strategy": ("auto", "ddp"),
        "trainer__precision": ("bf16", "bf16-mixed"),
        "trainer__val_check_interval": (1.0, None),
        "evaluate__base": (True, False),
        "evaluate__confidence": (False, True),
    }
    runs = [
        configure(make_run(f"{seed}", seed=seed), seed=seed, **{name: values[seed] for name, values in others.items()})
        for seed in (0, 1)
    ]
    (setting,) = compare(runs).settings
    assert [(row.name, row.seeds) for row in setting.rows] == [("scd_aw", [0, 1])]


def test_runs_with_other_settings_stand_apart_by_name(make_run):
    runs = [
        configure(make_run(f"{lr}-{seed}", seed=seed), student__optimizer__lr=lr, seed=seed, paths__run=f"{lr}-{seed}")
        for lr in (0.001, 0.002)
        for seed in (0, 1)
    ]
    (setting,) = compare(runs).settings
    assert [(row.name, row.seeds, row.repeated) for row in setting.rows] == [
        ("scd_aw student.optimizer.lr=0.001", [0, 1], False),
        ("scd_aw student.optimizer.lr=0.002", [0, 1], False),
    ]


def test_a_setting_that_follows_the_seed_is_the_seed(make_run):
    runs = [configure(make_run(f"run-{seed}", seed=seed), task__data__split_seed=seed) for seed in (0, 1)]
    assert [row.name for row in compare(runs).settings[0].rows] == ["scd_aw"]


def test_what_changes_no_numbers_parts_no_runs(make_run):
    one = configure(make_run("one", seed=0), trainer__devices=1, logger__csv__save_dir="a", teacher__path="/a")
    two = configure(make_run("two", seed=1), trainer__devices=2, logger__wandb__project="b", teacher__path="/b")
    assert len(compare([one, two]).settings[0].rows) == 1


def test_methods_that_differ_in_more_than_the_method_are_named(make_run):
    one = configure(make_run("one", method="td"), student__optimizer__lr=1, method__weighting__weight=0.5)
    two = configure(make_run("two", method="scd"), student__optimizer__lr=2, method__weighting__weight=0.9)
    (setting,) = compare([one, two]).settings
    assert setting.confounded == {"student.optimizer.lr": {"td": "1", "scd": "2"}}
    assert [row.name for row in setting.rows] == ["td", "scd"]


@pytest.mark.parametrize(
    "path",
    ["data/digest", "task", "evaluated_split", "models/teacher/name", "models/student/name", "models/student/weights"],
)
def test_runs_of_other_settings_stand_apart(make_run, path):
    other = edit(make_run("other"), path, "another")
    assert len(compare([make_run("one"), other]).settings) == 2


def test_draws_of_one_generator_share_a_table(make_answered):
    """Their digests, tokenizers and sizes of vocabularies differ: each draw has texts of its own."""
    runs = [make_answered(f"run-{seed}", 60, draw=seed, seed=seed) for seed in (10, 11, 12)]
    for seed, run in zip((10, 11, 12), runs, strict=True):
        configure(run, task__data__synthetic={"seed": seed, "label_noise": 0.02}, seed=seed)
    (setting,) = compare(runs).settings
    assert [(row.name, row.seeds) for row in setting.rows] == [("scd_aw", [10, 11, 12])]
    assert (setting.unit, setting.digests) == ("draw", ["of draw 10", "of draw 11", "of draw 12"])
    assert (setting.confounded, setting.apart) == ({}, {})


def test_other_settings_of_a_generator_stand_apart(make_answered):
    runs = [make_answered(f"run-{noise}", 60, draw=0) for noise in (0.02, 0.08)]
    for noise, run in zip((0.02, 0.08), runs, strict=True):
        edit(configure(run, task__data__synthetic__label_noise=noise), "data/generator/settings/label_noise", noise)
    assert [setting.apart for setting in compare(runs).settings] == [
        {"task.data.synthetic.label_noise": "0.02"},
        {"task.data.synthetic.label_noise": "0.08"},
    ]


def test_pretrained_weights_stand_apart_in_generated_data_too(make_answered):
    other = edit(make_answered("other", 60, draw=1, seed=1), "models/student/weights", "another")
    assert len(compare([make_answered("one", 60, draw=0), other]).settings) == 2


def test_seeds_on_one_draw_are_seeds(make_answered):
    """The generator's seed is fixed: the runs share their rows."""
    runs = [make_answered(f"run-{seed}", 60, draw=7, seed=seed) for seed in (0, 1)]
    (setting,) = compare(runs).settings
    assert (setting.unit, setting.digests) == ("seed", ["of draw 7"])


def test_samples_are_never_paired_across_draws(make_answered):
    """The same seed, but other rows: no difference of these two methods can be had."""
    runs = [make_answered("sft", 60, draw=1, method="sft"), make_answered("td", 50, draw=2, method="td", anchor=40)]
    (setting,) = compare(runs).settings
    assert setting.differences == []
    gain = setting.rows[1].gain
    assert gain is not None
    assert (gain.other, gain.value.mean) == ("anchor", pytest.approx(0.1))


def test_methods_are_compared_with_the_tables_fine_tuning(make_answered):
    """Whose learning rate may be another than that of a method's own anchor."""
    runs = [
        make_answered(f"{method}-{seed}", right, anchor=anchor, method=method, seed=seed)
        for method, right, anchor in (("sft", 60, 60), ("td", 55, 40))
        for seed in (0, 1)
    ]
    (setting,) = compare(runs).settings
    sft, td = setting.rows
    assert sft.gain is None
    assert td.gain is not None
    assert (td.gain.other, td.gain.value.mean, td.gain.side) == ("sft", pytest.approx(-0.05), -1)
    assert td.gain.by_run == pytest.approx([-0.05, -0.05])
    assert set(setting.shared) == {"teacher"}


@pytest.mark.parametrize("change", ["seed", "budget"])
def test_without_equal_fine_tuning_it_is_the_anchor(make_answered, change):
    runs = [make_answered("sft", 60, method="sft")]
    runs += [make_answered(f"td-{seed}", 55, method="td", seed=seed) for seed in ((0, 1) if change == "seed" else (0,))]
    if change == "budget":
        configure(runs[0], budget__stages=8)
        configure(runs[1], budget__stages=4)
    gain = compare(runs).settings[0].rows[1].gain
    assert gain is not None
    assert (gain.other, gain.value.mean) == ("anchor", pytest.approx(0.05))


def test_with_samples_the_epochs_of_a_stage_set_no_runs_apart(make_answered):
    runs = [make_answered("sft", 60, method="sft"), make_answered("td", 55, method="td")]
    for run, epochs in zip(runs, (2, 24), strict=True):
        configure(run, budget__samples=57600, budget__stage_epochs=epochs)
    (setting,) = compare(runs).settings
    gain = setting.rows[1].gain
    assert gain is not None
    assert gain.other == "sft"
    assert not setting.confounded


def test_what_is_not_alike_for_every_seed_is_not_shared(make_answered):
    runs = [
        make_answered(f"{method}-{seed}", 60, anchor=anchor, method=method, seed=seed)
        for method, anchors in (("td", (50, 60)), ("scd", (60, 50)))
        for seed, anchor in enumerate(anchors)
    ]
    (setting,) = compare(runs).settings
    assert {model: value.mean for model, value in setting.shared.items()} == {"teacher": 0.5}


def test_tables_with_the_same_names_say_in_what_they_differ(make_run):
    runs = [
        edit(configure(make_run(str(length)), task__max_length=length), "data/digest", str(length))
        for length in (256, 512)
    ]
    assert [setting.apart for setting in compare(runs).settings] == [
        {"task.max_length": "256"},
        {"task.max_length": "512"},
    ]


def test_failed_cut_off_and_damaged_runs_are_named(make_run, tmp_path):
    failed, cut, damaged = tmp_path / "failed", tmp_path / "cut", make_run("damaged")
    failed.mkdir()
    cut.mkdir()
    (failed / "failure.json").write_text(json.dumps({"type": "DataError", "message": "A row lacks [field]."}))
    (damaged / "costs.json").write_text("{")
    comparison = compare([make_run("run"), failed, cut, damaged])
    assert [(failure.folder, failure.type) for failure in comparison.failures] == [
        ("failed", "DataError"),
        ("cut", "unfinished"),
        ("damaged", "StoreError"),
    ]
    assert len(comparison.settings[0].runs) == 1


def test_a_run_that_was_cut_off_does_not_count_with_an_earlier_ones_results(make_run):
    folder = make_run("run")
    (folder / "run.json").write_text(json.dumps({"started": "10:00", "finished": None}))
    comparison = compare([folder])
    assert (comparison.settings, [failure.type for failure in comparison.failures]) == ([], ["unfinished"])


def test_a_failed_run_does_not_count_with_an_earlier_ones_results(make_run):
    folder = make_run("run")
    (folder / "failure.json").write_text(json.dumps({"type": "DataError", "message": "m"}))
    comparison = compare([folder])
    assert (comparison.settings, [failure.type for failure in comparison.failures]) == ([], ["DataError"])


def test_a_folder_named_twice_is_one_run(make_run):
    folder = make_run("run")
    assert compare([folder, folder]).settings[0].rows[0].n == 1


def test_the_best_row_is_the_validation_splits(make_run):
    """The test split has it the other way round."""
    worse = add_validation(make_run("a", method="td", student=0.9), 0.1, 0.5)
    better = add_validation(make_run("b", method="scd", student=0.8), None, 0.7, 0.6)
    (setting,) = compare([worse, better]).settings
    assert setting.best == 1
    assert setting.rows[1].values["validation"].mean == 0.7


def test_without_validation_scores_no_row_is_the_best(sweep):
    assert compare(sweep).settings[0].best is None


def test_a_fine_tuned_student_is_validated_as_the_anchor(make_run):
    folder = make_run("sft", method="sft")
    (folder / "curves.json").write_text(json.dumps({"anchor": [{"epoch": 0, "validation_metric": 0.4}]}))
    assert compare([folder]).settings[0].rows[0].values["validation"].mean == 0.4


def test_differences_are_over_the_seeds_that_both_have(make_run):
    runs = [
        add_predictions(
            make_run(f"{method}-{seed}", method=method, seed=seed), student=right, teacher=[1, 1, 0, 0] * 10
        )
        for method, seed, right in [
            ("td", 0, [0, 0, 0, 0] * 10),
            ("td", 1, [1, 0, 0, 0] * 10),
            ("scd", 1, [1, 1, 1, 0] * 10),
            ("scd", 2, [1, 1, 1, 1] * 10),
        ]
    ]
    (setting,) = compare(runs).settings
    (difference,) = setting.differences
    assert (difference.first, difference.second, difference.seeds) == ("scd", "td", [1])
    assert difference.interval.value == 0.5
    assert 0.3 < difference.interval.low < 0.5 < difference.interval.high < 0.7
    lead = setting.rows[1].lead
    assert lead is not None
    assert lead.interval is not None
    assert (lead.interval.value, lead.interval.seeds, lead.interval.samples) == (pytest.approx(0.375), 2, 40)


def test_agreement_counts_samples_by_who_is_right(make_run):
    run = add_predictions(make_run("run"), student=[1, 1, 0, 0, 0], teacher=[1, 0, 1, 1, 0])
    found = compare([run]).settings[0].rows[0].agreement
    assert found is not None
    assert (found.both, found.student, found.teacher, found.neither) == (1, 1, 2, 1)


def test_a_sweep_without_a_finished_run():
    assert compare([]).to_dict() == {"settings": [], "failures": []}


def test_short_names_are_the_shortest_that_tell_settings_apart(make_run):
    values = [(1, 1, 2), (1, 2, 2), (2, 1, 4)]
    runs = [
        configure(make_run(str(i)), teacher__lr=teacher, student__lr=student, budget__stages=stages)
        for i, (teacher, student, stages) in enumerate(values)
    ]
    rows = compare(runs).settings[0].rows
    assert rows[0].settings == "budget.stages=2 student.lr=1 teacher.lr=1"
    assert rows[0].short == "stages=2 student.lr=1 teacher.lr=1"


def test_macro_f1_has_an_interval_of_its_own(make_answered):
    folder = make_answered("run", 70)
    f1 = {"teacher": 2 * 50 / 150 / 2, "anchor": 2 * 50 / 150 / 2, "student": 2 * 70 / 170 / 2}
    edit(folder, "primary_metric", "macro_f1")
    edit(folder, "metrics", {model: {"macro_f1": value} for model, value in f1.items()})
    (setting,) = compare([folder]).settings
    assert setting.score == "macro_f1"
    lead = setting.rows[0].lead
    assert lead is not None
    assert lead.interval is not None
    assert lead.interval.value == pytest.approx(f1["student"] - f1["teacher"])
    assert lead.interval.low < lead.interval.value < lead.interval.high


def test_seeds_that_share_test_samples_share_their_chance_whatever_they_trained_on(make_answered):
    """Training rows that were drawn anew with each seed make other data of the same test samples."""
    alone = [make_answered(f"alone-{seed}", 60 + seed, seed=seed) for seed in (0, 1, 2)]
    apart = [make_answered(f"apart-{seed}", 60 + seed, draw=7, seed=seed) for seed in (0, 1, 2)]
    for seed, run in enumerate(apart):
        edit(run, "data/digest", f"of other rows {seed}")
    (one,), (other,) = (compare(runs).settings[0].rows for runs in (alone, apart))
    assert other.lead is not None
    assert one.lead == other.lead
    own = compare([make_answered(f"own-{seed}", 60 + seed, draw=seed, seed=seed) for seed in (0, 1, 2)])
    lead = own.settings[0].rows[0].lead
    assert lead is not None
    assert lead.interval is not None
    assert other.lead.interval is not None
    # With samples of its own for each seed, the spread says it all.
    assert lead.interval.high < other.lead.interval.high
