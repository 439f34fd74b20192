"""`scd_lightning.run`: what a program gets of a run, and that it finds its own process as it was."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import warnings

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import scd_lightning
from scd_lightning import run
from scd_lightning.analysis.records import read_results
from scd_lightning.cli.session import session
from scd_lightning.errors import ConfigError, DataError, ScdError
from scd_lightning.use.student import Student
from tests.conftest import ROOT, small

SHORT = ("task=classification", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Runs a small job in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCD_STORE", str(tmp_path / "store"))

    def call(*overrides: str, **named: object) -> scd_lightning.RunResult:
        return run([*small((*SHORT, *overrides)), *SHORT, *overrides], **named)  # type: ignore[arg-type]

    return call


def state() -> dict[str, object]:
    """What a run might leave changed in its process."""
    return {
        "argv": list(sys.argv),
        "handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "hydra": [GlobalHydra.instance().hydra, HydraConfig.instance().cfg],
        "session": vars(session).copy(),
        "words": warnings.formatwarning,
        "filters": list(warnings.filters),
        "streams": [sys.stdout, sys.stderr, sys.excepthook],
    }


def test_a_run_gives_what_it_has_left(job, tmp_path, capsys):
    before = state()
    found = job("method=td", folder=tmp_path / "it's here")
    assert state() == before
    assert "ask it: " in capsys.readouterr().out
    assert (found.folder, found.method, found.seed, found.split) == (tmp_path / "it's here", "td", 0, "test")
    results = read_results(found.folder)
    assert found.metrics == results["metrics"]
    assert found.primary_metric == "accuracy"
    assert found.decomposition["student"] == results["subdomains"]["student_vs_teacher"]
    scores = {name: values["accuracy"] for name, values in found.metrics.items()}
    verdict = found.verdict
    assert verdict is not None
    assert verdict.sentence in found.report.read_text()
    for other, interval in {"anchor": verdict.to_fine_tuning, "teacher": verdict.to_teacher}.items():
        assert interval.value == pytest.approx(scores["student"] - scores[other], abs=1e-6)
        assert interval.low <= interval.value <= interval.high
    assert json.loads(found.results.read_text()) == results
    assert Student.load(found.student).predict(["a text"])[0].answer
    assert json.loads((found.folder / "run.json").read_text())["command"].startswith("python run.py teacher=scratch")


def test_it_may_be_called_again_by_a_thread_or_beside_an_event_loop_or_hydra(job, tmp_path):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        first, before = job("method=sft", folder="first"), state()
        assert compose("config").seed == 0

        async def beside() -> scd_lightning.RunResult:
            return job("method=sft", folder="first")

        assert asyncio.run(beside()) == first
        got: list[object] = []
        thread = threading.Thread(target=lambda: got.append(job("method=sft", folder="first")))
        thread.start()
        thread.join()
        assert got == [first]
        assert state() == before
    assert first.verdict.to_fine_tuning is None
    other = job("phases=[teacher_sft]")
    assert other.folder.is_relative_to(tmp_path / "outputs")
    assert (other.metrics, other.verdict, other.student, other.report) == ({}, None, None, None)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=0,1"], "One job is run here.*seed=0,1"),
        (["-m", "seed=0"], "One job is run here.*-m"),
        (["hparams_search=lr_grid"], "One job is run here.*MULTIRUN"),
        (["--cfg=job"], "Flags are for the command line"),
        (["task=nerr"], "has no option nerr.*ner"),
        (["student.optimizer.lrr=1"], "no setting student.optimizer.lrr.*student.optimizer.lr"),
        (["task.name=a b,c]"], "can't be read"),
        (["hydra.run.dir=/proc/no/such"], "folder can't be made"),
        (["budget.probe_samples=0"], "too small"),
    ],
)
def test_a_mistake_is_raised_and_nothing_is_printed_or_ended(job, overrides, said, capsys):
    before = state()
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        job(*overrides)
    assert state() == before
    assert capsys.readouterr().err == ""


def test_a_text_alone_is_no_list_of_overrides():
    with pytest.raises(ConfigError, match="a list of them"):
        run("task=ner")


def test_what_ends_a_job_is_raised_and_noted_in_its_folder(job, tmp_path):
    with pytest.raises(DataError, match="folder is missing") as raised:
        job("task.data.path=/no/such", folder="run")
    assert isinstance(raised.value, ScdError)
    assert json.loads((tmp_path / "run" / "failure.json").read_text())["type"] == "DataError"
    assert job("method=sft", folder="run").verdict is not None
    assert not (tmp_path / "run" / "failure.json").exists()


def test_options_of_ones_own_are_found(job, tmp_path):
    (tmp_path / "conf" / "method").mkdir(parents=True)
    text = (ROOT / "conf" / "method" / "td.yaml").read_text()
    (tmp_path / "conf" / "method" / "mine.yaml").write_text(text.replace("name: td", "name: mine"))
    found = job(f"hydra.searchpath=[file://{tmp_path}/conf]", "method=mine", "phases=[teacher_sft]")
    assert found.method == "mine"


def test_the_example_of_the_docs_runs(job, capsys):
    page = (ROOT / "docs" / "use.md").read_text(encoding="utf-8")
    [code] = re.findall(r"<!-- running\.py -->\n```python\n(.*?)```", page, re.DOTALL)
    found = job("method=td", folder="outputs/first")
    capsys.readouterr()
    own = [*small((*SHORT, "method=td")), *SHORT, "method=td"]
    exec(re.sub(r"run\(\[.*?\]", lambda _: f"run({own}", code), {})
    *_, score, lead, places = capsys.readouterr().out.splitlines()
    assert score.endswith(found.verdict.sentence)
    assert lead.split()[0] == str(found.verdict.to_teacher.value)
    assert places == f"{found.student} {found.report}"


def test_names_are_loaded_when_they_are_asked_for(tmp_path):
    code = (
        "import sys, scd_lightning; print(sorted({'torch', 'hydra', 'rich'} & set(sys.modules)), scd_lightning.__all__)"
    )
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert done.stdout == f"[] {scd_lightning.__all__}\n"
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        _ = scd_lightning.walk
    assert all(getattr(scd_lightning, name).__name__ == name for name in scd_lightning.__all__)
