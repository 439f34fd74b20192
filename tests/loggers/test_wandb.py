"""W&B's offline files, read back by its own reader: without a key, a network or a question."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb

from scd_lightning.loggers.job_loggers import JobInfo
from scd_lightning.loggers.wandb import WandbLogger

INFO = JobInfo("td-0", "tickets: big -> small", "td", {"seed": 0})
READER = Path(sys.executable).with_name("wandb")
pytestmark = pytest.mark.usefixtures("no_key")
KEY, TOKEN = "0123456789abcdef" * 3, "hf_never_to_be_seen"


@functools.cache
def inspect(run, *options):
    line = [READER, "leet", "inspect", "--json", *options, run]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def summary(run):
    return json.loads(inspect(run, "--summary"))


def history(run, stage):
    """The logged rows of a stage, without what W&B adds."""
    records = [json.loads(line) for line in inspect(run).splitlines()]
    rows = [record["history"]["item"] for record in records if record["type"] == "history"]
    kept = [{name: value for name, value in row.items() if name.startswith(f"{stage}/")} for row in rows]
    return [row for row in kept if row]


def axes(run):
    records = [json.loads(line) for line in inspect(run).splitlines()]
    metrics = [record["metric"] for record in records if record["type"] == "metric"]
    return {m.get("name", m.get("glob_name")): m["step_metric"] for m in metrics if "step_metric" in m}


def offline(folder):
    return sorted(folder.glob("wandb/offline-run-*"))


@pytest.mark.slow
def test_a_sweep_has_one_finished_run_for_each_job(run_py, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("WANDB_MODE", "offline")
    code, out, error = run_py("logger=wandb", "method=sft,scd_aw", "hydra.sweep.dir=sweep", "-m")
    assert code == 0, error
    runs = [offline(tmp_path / "sweep" / job) for job in "01"]
    assert [len(segments) for segments in runs] == [1, 1]
    first, second = (summary(segments[0]) for segments in runs)
    assert first["run_id"] != second["run_id"]
    assert [run["name"] for run in (first, second)] == ["sft-0", "scd_aw-0"]
    assert [run["exit_code"] for run in (first, second)] == [0, 0]
    for segments in runs:
        assert f"wandb sync {segments[0]}" in out.replace("\n", "")

    # The second job found teacher and anchor in the store; its curves are the first one's all the same.
    for stage in ("teacher_sft", "student_sft"):
        live, again = (
            {(row[f"{stage}/step"], name): value for row in history(segments[0], stage) for name, value in row.items()}
            for segments in runs
        )
        assert {name for _, name in live.keys() - again.keys()} <= {
            f"{stage}/{name}" for name in ("step", "batch_loss", "learning_rate")
        }
        assert again == pytest.approx({key: live[key] for key in again}, abs=1e-6)
    results = json.loads((tmp_path / "sweep/1/results.json").read_text())
    values = second["summary"]
    assert values["test/f1"] == pytest.approx(results["metrics"]["student"]["f1"])
    assert values["test/lead"] == pytest.approx(values["test/f1"] - values["test/teacher_f1"])
    gap = results["subdomains"]["student_vs_teacher"]["loss"]["gap"]
    assert values["subdomains/student_vs_teacher.loss.gap"] == pytest.approx(gap)
    assert values["validation/metric"] == values["distill/validation_metric"]
    assert values["test/differences"]["ncols"] == 10
    assert values["distill/weights"]["_type"] == "histogram"
    assert sum(values["distill/weights"]["values"]) == 48
    rows = history(runs[1][0], "distill")
    chosen = [row["distill/checkpoint"] for row in rows if "distill/checkpoint" in row]
    assert chosen == [stage["checkpoint"] for stage in results["schedule"]]
    found = axes(runs[1][0])
    assert found["distill/*"] == "distill/step"
    assert found["distill/checkpoint"] == found["distill/score_0"] == "distill/stage"
    assert second["config"]["student"]["vocab_size"] == 400
    assert not {"paths", "logger"} & set(second["config"])

    files = [path for path in (tmp_path / "sweep").rglob("*") if path.is_file()]
    assert not [path for path in files if any(secret.encode() in path.read_bytes() for secret in (KEY, TOKEN))]


def test_processes_of_a_job_share_its_run(tmp_path, capsys):
    parent, rank = WandbLogger(str(tmp_path), "p"), WandbLogger(str(tmp_path), "p")
    parent.begin(INFO)
    rank.begin(JobInfo(**{**vars(INFO), "leads": False}))
    rank("distill").log_metrics({"train_loss": 1.5}, 3)
    rank.finish(failed=False)
    assert "wandb sync" not in capsys.readouterr().out
    parent.results({"test/f1": 0.5}, "It won.")
    parent.finish(failed=False)
    segments = offline(tmp_path)
    assert [summary(segment)["run_id"] for segment in segments] == [parent.id] * 2
    told = capsys.readouterr().out.replace("\n", "")
    assert f"wandb sync {segments[0]} {segments[1]}" in told
    assert summary(segments[0])["summary"]["distill/train_loss"] == 1.5
    assert summary(segments[1])["summary"]["verdict"] == "It won."

    # The next job in the same folder is another run.
    parent.begin(INFO)
    assert parent.id != rank.id


def test_a_job_whose_process_was_killed_is_marked_as_failed(tmp_path):
    rank = WandbLogger(str(tmp_path), "p")
    rank.begin(INFO)
    rank("distill").log_metrics({"train_loss": 1.5}, 3)
    rank.finish(failed=False)
    parent = WandbLogger(str(tmp_path), "p")
    parent.begin(JobInfo(**{**vars(INFO), "leads": False}))
    parent._info = INFO
    parent.finish(failed=True)
    assert summary(offline(tmp_path)[-1])["exit_code"] == 1


def test_a_job_that_logged_nothing_has_no_run(tmp_path, capsys):
    logger = WandbLogger(str(tmp_path), "p")
    logger.begin(INFO)
    logger.finish(failed=True)
    assert not offline(tmp_path)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "mode", "told"),
    [
        ({"WANDB_API_KEY": "wrong"}, "auto", "WANDB_API_KEY invalid"),
        ({"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}, "online", "offline for this run"),
        ({}, "online", "there is no key"),
    ],
)
def test_what_can_not_be_had_online_is_logged_offline(tmp_path, monkeypatch, capsys, environment, mode, told):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    logger = WandbLogger(str(tmp_path), "p", mode=mode, start_timeout=0.5)
    logger.begin(INFO)
    logger("distill").log_metrics({"train_loss": 1.5}, 3)
    logger.finish(failed=True)
    (run,) = offline(tmp_path)
    assert summary(run)["summary"]["distill/train_loss"] == 1.5
    assert summary(run)["exit_code"] == 1
    out = capsys.readouterr().out.replace("\n", " ")
    assert told in out
    assert "wandb sync" in out


def test_trouble_with_wandb_ends_no_job(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(WandbLogger, "_start", lambda self: 1 / 0)
    logger = WandbLogger(str(tmp_path), "p")
    logger.begin(INFO)
    for step in range(3):
        logger("distill").log_metrics({"train_loss": 1.5}, step)
    logger.finish(failed=False)
    assert capsys.readouterr().out.count("goes on without it: division by zero") == 1


def test_a_sweep_agent_names_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agent7")
    logger = WandbLogger(str(tmp_path), "p")
    logger.begin(INFO)
    assert logger.id == "agent7"


@pytest.mark.parametrize("variables", [{"WANDB_MODE": "disabled"}, {"WANDB_DISABLED": "true", "WANDB_API_KEY": KEY}])
def test_without_wandb_nothing_is_written_or_said(tmp_path, monkeypatch, capsys, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("W&B was started"))
    monkeypatch.setattr(wandb, "login", lambda **_: pytest.fail("W&B was logged in to"))
    for failed in (False, True):
        logger = WandbLogger(str(tmp_path), "p")
        logger.begin(INFO)
        logger("distill").log_metrics({"train_loss": 1.5}, 3)
        logger("distill").log_histogram("weights", [1, 2], 3)
        logger("distill").goes_on()
        logger.results({"test/f1": 0.5}, "It won.")
        logger.table("differences", ["text"], [["a text of the test split"]])
        logger.finish(failed=failed)
        assert logger("distill").version is None
    assert not list(tmp_path.iterdir())
    assert not capsys.readouterr().out


def test_a_run_has_what_the_variables_say_where_the_configuration_says_nothing(tmp_path, monkeypatch):
    variables = {"PROJECT": "theirs", "ENTITY": "team", "RUN_GROUP": "together", "NAME": "mine", "TAGS": "a,b"}
    for name, value in (variables | {"NOTES": "why", "JOB_TYPE": "sft", "RESUME": "must"}).items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    own: dict[str, Any] = {"project": "p", "entity": "e", "group": "g", "tags": ["t"]}
    told = {}
    for name, settings in {"theirs": {}, "ours": own}.items():
        logger = WandbLogger(str(tmp_path / name), **settings, mode="offline")
        logger.begin(INFO)
        logger("distill").log_metrics({"train_loss": 1.5}, 3)
        logger.finish(failed=False)
        (run,) = (tmp_path / "elsewhere" / "wandb").glob(f"offline-run-*{logger.id}")
        records = [json.loads(line) for line in inspect(run).splitlines()]
        told[name] = next(record["run"] for record in records if record["type"] == "run")
    names = ("project", "entity", "run_group", "tags", "display_name", "notes", "job_type")
    theirs, ours = ([told[each].get(name) for name in names] for each in ("theirs", "ours"))
    assert theirs == ["theirs", "team", "together", ["a", "b"], "mine", "why", "sft"]
    assert ours == ["p", "e", "g", ["t"], "mine", "why", "sft"]


def _job(folder, *, info=INFO, failed=True, **more):
    """The id of the run that a job is."""
    logger = WandbLogger(str(folder), "p")
    logger.begin(JobInfo(**{**vars(info), **more}))
    logger.finish(failed=failed)
    return logger.id


def test_jobs_of_a_sweep_have_runs_of_their_own_whatever_the_environment_says(tmp_path, monkeypatch, capsys):
    for name in ("RUN_ID", "SWEEP_ID", "NAME"):
        monkeypatch.setenv(f"WANDB_{name}", "agent7")
    monkeypatch.setenv("WANDB_RESUME", "must")
    ids = []
    for job in "01":
        logger = WandbLogger(str(tmp_path / job), "p", mode="offline")
        logger.begin(JobInfo(**{**vars(INFO), "swept": True}))
        logger.finish(failed=False)
        assert "WANDB_RUN_ID is of one run" in capsys.readouterr().out
        # The process that it starts for its device knows of no sweep.
        rank = WandbLogger(str(tmp_path / job), "p", mode="offline")
        rank.begin(JobInfo(**{**vars(INFO), "leads": False}))
        rank("distill").log_metrics({"train_loss": 1.5}, 3)
        rank.finish(failed=False)
        (run,) = offline(tmp_path / job)
        found = summary(run)
        assert found["run_id"] == logger.id == rank.id
        assert found["name"] == "agent7 td-0"
        ids.append(logger.id)
        assert os.environ["WANDB_RUN_ID"] == os.environ["WANDB_SWEEP_ID"] == "agent7"
    assert len({*ids, "agent7"}) == 3


def test_a_stopped_job_goes_on_as_the_same_run(tmp_path, monkeypatch, capsys):
    first = _job(tmp_path)
    assert _job(tmp_path) == _job(tmp_path, failed=False) == first
    # It is finished; what comes now is another job, as is one with other settings, or in another folder.
    second = _job(tmp_path)
    other = _job(tmp_path, settings={"seed": 1})
    ids = [first, second, other, _job(tmp_path), _job(tmp_path / "elsewhere")]
    assert len(set(ids)) == 5
    (tmp_path / "wandb" / "job.json").write_text("{")
    assert _job(tmp_path) not in ids
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    assert _job(tmp_path) == "mine"


@pytest.mark.parametrize(("stopped_here", "lines"), [(True, 0), (False, 1)])
def test_a_training_that_goes_on_in_another_run_is_told_of(tmp_path, capsys, stopped_here, lines):
    if stopped_here:
        _job(tmp_path)
    logger = WandbLogger(str(tmp_path), "p")
    logger.begin(INFO)
    logger("distill").goes_on()
    assert capsys.readouterr().out.count("the first part of distill is in the run of the job that was stopped") == lines


def test_names_tags_and_notes_are_cleaned(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_NOTES", f"made with {TOKEN}")
    monkeypatch.setenv("WANDB_JOB_TYPE", f"job {TOKEN}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    logger = WandbLogger(str(tmp_path), project=f"for {TOKEN}", group=f"of {TOKEN}", tags=[TOKEN, "plain"])
    logger.begin(INFO)
    logger.results({"test/f1": 0.5}, "a verdict")
    logger.finish(failed=False)
    (run,) = offline(tmp_path)
    assert summary(run)["exit_code"] == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()] == []
