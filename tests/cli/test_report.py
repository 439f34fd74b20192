"""The command that rebuilds reports and compares runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scd_lightning.cli.report import main

RESULTS = {
    "task": "qa",
    "data": {"digest": "d" * 64, "sizes": {"train": 4, "validation": 2, "test": 4}, "split": "as given"},
    "primary_metric": "accuracy",
    "versions": {"torch": "2"},
    "models": {name: {"name": name, "parameters": 3, "tokenizer": "t"} for name in ("teacher", "student")},
    "metrics": {name: {"accuracy": 0.5} for name in ("teacher", "anchor", "student")},
    "subdomains": {},
    "schedule": [],
}


@pytest.fixture
def make_run(tmp_path):
    def make(name: str, method: str = "td", seed: int = 0) -> Path:
        folder = tmp_path / name
        (folder / "predictions").mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(RESULTS | {"method": method, "seed": seed}))
        for model in ("teacher", "anchor", "student"):
            rows = [
                {"id": str(i), "answer": "A", "gold": "AB"[i % 2], "correct": 1 - i % 2, "loss": 0.5} for i in range(4)
            ]
            lines = "".join(json.dumps(row | {"malformed": False}) + "\n" for row in rows)
            (folder / "predictions" / f"{model}.jsonl").write_text(lines)
        return folder

    return make


@pytest.fixture
def sweep(make_run, tmp_path):
    for job, (method, seed) in enumerate([("td", 0), ("td", 1), ("scd", 0), ("scd", 1)]):
        make_run(f"sweep/{job}", method, seed)
    (tmp_path / "sweep" / "multirun.yaml").write_text("")
    return tmp_path / "sweep"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_a_run_gets_its_report_and_card_again(make_run, capsys):
    folder = make_run("run")
    (folder / "student").mkdir()
    assert run(folder) == 0
    assert (folder / "report.html").exists()
    assert (folder / "student" / "README.md").exists()
    assert f"report: {folder / 'report.html'}" in capsys.readouterr().out


def test_a_sweep_gets_all_reports_and_its_comparison_again(sweep, capsys):
    assert run(sweep) == 0
    assert all((sweep / str(job) / "report.html").exists() for job in range(4))
    assert len(json.loads((sweep / "comparison.json").read_text())["settings"][0]["rows"]) == 2
    assert 'href="0/report.html"' in (sweep / "comparison.html").read_text()
    out = " ".join(capsys.readouterr().out.split())
    table, _, verdict = out.partition(f"comparison: {sweep / 'comparison.html'}")
    assert "Shared by all methods: teacher 0.500" in table
    assert verdict.endswith(
        "scd is equal to plain fine-tuning (its anchor), whichever samples are drawn; equal to its "
        "teacher, whichever samples are drawn."
    )


def test_runs_of_several_places_are_compared_and_left_as_they_are(sweep, make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("sweep", make_run("alone", "cd")) == 0
    (setting,) = json.loads((tmp_path / "comparison" / "comparison.json").read_text())["settings"]
    assert [(row["method"], row["n"]) for row in setting["rows"]] == [("td", 2), ("scd", 2), ("cd", 1)]
    assert not (sweep / "0" / "report.html").exists()


def test_a_folder_of_runs_that_is_no_sweep_is_compared_and_left_as_it_is(make_run, tmp_path, monkeypatch):
    folders = [make_run(f"day/{hour}", seed=hour) for hour in (10, 11)]
    monkeypatch.chdir(tmp_path)
    assert run("day") == 0
    assert (tmp_path / "comparison" / "comparison.html").exists()
    assert not any((folder / "report.html").exists() for folder in folders)


def test_tables_as_csv(sweep, tmp_path):
    assert run(sweep, "--csv", tmp_path / "tables", "--output", tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert names == {"runs.csv", "methods.csv", "differences.csv"}
    assert (tmp_path / "out" / "comparison.html").exists()
    assert not (sweep / "comparison.html").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "There is no such folder"),
        ({}, "This is not the folder of a run or of a sweep"),
        ({"config.yaml": "seed: 0"}, "The run did not finish. Where"),
        (
            {"failure.json": '{"type": "DataError", "message": "A row lacks x."}'},
            "Got: DataError: A row lacks x. Remedy",
        ),
        ({"results.json": "{"}, "A saved file is not valid JSON"),
    ],
    ids=["nothing", "empty", "unfinished", "failed", "damaged"],
)
def test_what_is_no_finished_run_is_told_with_exit_code_2(tmp_path, capsys, files, message):
    folder = tmp_path / "folder"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    assert run(folder) == 2
    assert message in capsys.readouterr().err


def test_a_folder_above_runs_names_one(make_run, tmp_path, capsys):
    folder = make_run("outputs/day/run")
    assert run(tmp_path / "outputs") == 2
    assert f"name one such as {folder}" in capsys.readouterr().err


def test_the_command_imports_no_framework(make_run):
    code = (
        "import sys; from scd_lightning.cli.report import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'lightning', 'transformers', 'datasets', 'hydra', 'omegaconf'} & set(sys.modules);"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(make_run("run"))], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
