import json
import statistics

import pytest
from rich.console import Console

from scd_lightning.analysis.comparison import compare

SCORES = {("td", 0): 0.79, ("td", 1): 0.8, ("scd_aw", 0): 0.842, ("scd_aw", 1): 0.83}


@pytest.fixture
def sweep(make_run):
    return [
        make_run(f"{method}-{seed}", method=method, seed=seed, student=score)
        for (method, seed), score in SCORES.items()
    ]


def shown(comparison, width: int = 140) -> str:
    console = Console(width=width, record=True)
    console.print(comparison.to_table())
    return console.export_text()


def test_mean_and_sample_deviation_over_seeds(sweep):
    (setting,) = compare(sweep).settings
    assert [(row.method, row.n, row.seeds) for row in setting.rows] == [("td", 2, [0, 1]), ("scd_aw", 2, [0, 1])]
    student = setting.rows[1].values["metrics.student.f1"]
    assert student.mean == pytest.approx(0.836)
    assert student.spread == pytest.approx(statistics.stdev([0.842, 0.83]))
    assert setting.rows[1].values["lead"].mean == pytest.approx(0.836 - 0.821)


def test_one_seed_has_no_spread(make_run):
    comparison = compare([make_run("run")])
    assert all(value.spread is None for value in comparison.settings[0].rows[0].values.values())
    assert "±" not in shown(comparison)


def test_runs_that_differ_in_more_than_the_seed_have_no_spread(make_run):
    comparison = compare([make_run("slow", student=0.8), make_run("fast", student=0.6)])
    (row,) = comparison.settings[0].rows
    assert (row.n, row.seeds, row.repeated) == (2, [0], True)
    assert row.values["metrics.student.f1"].mean == pytest.approx(0.7)
    assert row.values["metrics.student.f1"].spread is None
    assert "2*" in shown(comparison)
    assert "differ in more than their seed" in shown(comparison)


@pytest.mark.parametrize("path", ["data/digest", "task", "models/teacher/name", "models/student/name"])
def test_runs_of_other_settings_stand_apart(make_run, path):
    folder = make_run("other")
    results = json.loads((folder / "results.json").read_text())
    *parents, name = path.split("/")
    place = results
    for key in parents:
        place = place[key]
    place[name] = "another"
    (folder / "results.json").write_text(json.dumps(results))
    assert len(compare([make_run("one"), folder]).settings) == 2


def test_failed_and_cut_off_runs_are_named(make_run, tmp_path):
    failed, cut = tmp_path / "failed", tmp_path / "cut"
    failed.mkdir()
    cut.mkdir()
    (failed / "failure.json").write_text(json.dumps({"type": "DataError", "message": "A row lacks [field]."}))
    comparison = compare([make_run("run"), failed, cut])
    assert [(failure.folder, failure.type) for failure in comparison.failures] == [
        ("failed", "DataError"),
        ("cut", "unfinished"),
    ]
    assert "failed: DataError: A row lacks [field]." in shown(comparison)


def test_table_shows_each_method(sweep):
    lines = [line.split() for line in shown(compare(sweep)).splitlines()]
    (td,) = (line for line in lines if line[:1] == ["td"])
    expected = "td 2 0.821 ±0.000 0.755 ±0.000 0.795 ±0.007 -0.026 ±0.007 0.060 ±0.000 0.040 ±0.000"
    assert " ".join(td) == expected


def test_written_files_say_the_same(sweep, tmp_path):
    comparison = compare(sweep)
    comparison.write(tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text()) == comparison.to_dict()
    page = (tmp_path / "comparison.html").read_text()
    assert "0.836 ±0.008" in page
    assert page.count("<svg") == 1


def test_a_sweep_without_a_finished_run(tmp_path):
    assert "No run finished." in shown(compare([]))
    compare([]).write(tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text()) == {"settings": [], "failures": []}
