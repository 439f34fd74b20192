import json

from rich.console import Console

from scd_lightning.analysis.run.run_table import run_line, run_table
from scd_lightning.progress import show


def shown(folder, verdict: str = "The student won.") -> str:
    console = Console(width=120, record=True)
    console.print(run_table(json.loads((folder / "results.json").read_text()), verdict))
    return console.export_text()


def test_summary_has_models_decomposition_schedule_and_verdict(make_run):
    text = shown(make_run("run"))
    rows = [line.split() for line in text.splitlines()]
    assert ["teacher", "anchor", "student"] in rows
    assert ["f1", "0.821", "0.755", "0.842"] in rows
    assert ["malformed", "0.002", "0.010", "0.004"] in rows
    assert ["student", "error", "0.060", "0.040", "-0.020", "10.0", "%", "82.0", "%"] in rows
    assert ["stage", "2", "4-5", "3", "0.500"] in rows
    assert "ner, method scd_aw, seed 0" in text
    assert "The student won." in text


def test_summary_names_the_split_that_was_evaluated(make_run):
    folder = make_run("run")
    assert "seed 0: test split" in shown(folder)
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(results | {"evaluated_split": "validation"}))
    assert "seed 0: validation split" in shown(folder)


def test_summary_of_a_method_without_stages(make_run):
    assert "Schedule" not in shown(make_run("run", method="sft"))


def test_warnings_come_last(make_run):
    folder = make_run("run")
    results = json.loads((folder / "results.json").read_text())
    results["budget"] = {"stages": 4, "stage_epochs": 2, "teacher_epochs": 8}
    results["convergence"] = [{"model": "anchor", "kind": "stage", "change": 0.0346}]
    (folder / "results.json").write_text(json.dumps(results))
    last = shown(folder).partition("The student won.")[2].strip()
    assert last.startswith("The anchor had not converged: its last stage still gained 0.035 on validation. ")


def test_names_in_brackets_are_not_styles(make_run, capsys):
    folder = make_run("run")
    results = json.loads((folder / "results.json").read_text())
    results["primary_metric"] = "f1[strict]"
    results["metrics"] = {name: {"f1[strict]": 0.5} for name in ("teacher", "student")}
    show(run_table(results, "The student won."))
    assert ["f1[strict]", "0.500", "0.500"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_preset_stands_under_its_own_name(make_run):
    folder = make_run("run")
    results = json.loads((folder / "results.json").read_text())
    results["data"]["name"] = "crner"
    (folder / "results.json").write_text(json.dumps(results))
    assert "crner, method scd_aw, seed 0" in shown(folder)


def test_a_run_in_a_line(make_run):
    results = json.loads((make_run("run", seed=3) / "results.json").read_text())
    assert run_line(results) == "method scd_aw, seed 3: f1 teacher 0.821, anchor 0.755, student 0.842"
