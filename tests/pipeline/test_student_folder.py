"""The exported student of real runs: the card's own code gives the answers that the run recorded."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scd_lightning.analysis.run.run_pages import write_run_pages
from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.student_folder import _tokenizer_from
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.run_folder.names import PARTIAL_STUDENT
from scd_lightning.run_folder.removable import UNFINISHED_STUDENT
from scd_lightning.store.making import make_folder
from scd_lightning.store.ownership import MARK
from scd_lightning.training.data_module import encode

CHAT = "{% for m in messages %}<user>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<model>\n{% endif %}"
ONE_EPOCH = ("budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")


def finish(job) -> Path:
    steps = plan(job)
    report(job, steps, execute(job, steps))
    return job.run_dir


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def show_sample(job, run_dir: Path) -> str:
    """Puts the first test sample into the card's code, and returns the answer that the run recorded for it."""
    path = run_dir / "student" / "prompt_template.json"
    path.write_text(json.dumps(read(path) | {"example": dict(job.data.samples["test"][0].fields)}))
    write_run_pages(run_dir)
    return json.loads((run_dir / "predictions" / "student.jsonl").read_text().split("\n")[0])["answer"]


def run_cards(*folders: Path) -> list[str]:
    """Runs the code of each card, as written, in one process that knows nothing of this package."""
    blocks = []
    for folder in folders:
        (block,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
        blocks.append(block)
    code = (
        "import json, os, sys\n"
        "for folder, block in json.load(sys.stdin):\n"
        "    os.chdir(folder)\n    exec(block, {})\n    print('-----')\n"
        "assert not any(name.split('.')[0] == 'scd_lightning' for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([[str(folder), block] for folder, block in zip(folders, blocks, strict=True)]),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [part.strip() for part in done.stdout.split("-----\n")[:-1]]


def test_the_code_of_the_cards_answers_as_the_run_did(make_job):
    jobs = [
        make_job("task=ner", "method=sft", *ONE_EPOCH, run="ner"),
        make_job("task=qa", "method=sft", *ONE_EPOCH, run="qa"),
        make_job("task=classification", "method=sft", *ONE_EPOCH, run="classification"),
    ]
    expected = []
    for job in jobs:
        if job.task.task == "classification":  # A family with a chat template: nothing but the tokenizer knows it.
            job.tokenizer.chat_template = CHAT
            job.data = encode(job.task.read(), job.tokenizer)
        expected.append(show_sample(job, finish(job)))
    found = run_cards(*(job.run_dir / "student" for job in jobs))
    assert [answer.strip() for answer in expected] == found


@pytest.fixture(scope="module")
def student(make_job_in, tmp_path_factory):
    return finish(make_job_in(tmp_path_factory.mktemp("student"))(*ONE_EPOCH)) / "student"


def test_everything_that_a_user_needs_is_there(student):
    names = {path.name for path in student.iterdir()}
    assert {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "prompt_template.json",
        "tokenizer.json",
    } <= names
    settings, prompt = read(student / "generation_config.json"), read(student / "prompt_template.json")
    assert settings["do_sample"] is False
    assert settings["max_new_tokens"] == prompt["max_new_tokens"]


@pytest.mark.parametrize(
    ("tokens", "student", "teacher", "expected"),
    [
        (["<|end|>", "<|pad|>"], {"gguf": "a.gguf"}, {}, "texts"),
        (["<s>", "</s>"], {"gguf": "a.gguf"}, {}, "gguf"),
        (["<s>", "</s>"], {}, {"gguf": "a.gguf"}, "model"),
        (["<s>", "</s>"], {"path": None}, {"gguf": "a.gguf"}, "gguf"),
        (["<s>", "</s>"], {"path": None}, {}, "model"),
    ],
)
def test_where_the_tokenizer_comes_from_is_told(tokens, student, teacher, expected):
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda ids: [tokens[i] for i in ids])
    # What was a GGUF file is a folder by then, and the settings have the file.
    spec = SimpleNamespace(path=student.pop("path", "a folder"))
    settings, whole = {"student": student, "teacher": teacher}, SimpleNamespace(trim_vocabulary=False)
    job: Any = SimpleNamespace(tokenizer=tokenizer, student=spec, teacher=whole, settings=settings)
    assert _tokenizer_from(job) == expected


def test_no_path_and_no_machine_is_named(student):
    text = "".join((student / name).read_text() for name in ("README.md", "prompt_template.json", "base_model.json"))
    for private in (str(Path.home()), os.uname().nodename, str(student.parents[1]), "/tmp"):
        assert private not in text


def test_results_tell_models_of_one_name_apart(make_job, student):
    results = read(student.parent / "results.json")
    other = finish(make_job("student.architecture.hidden_size=48", "method=sft", *ONE_EPOCH))
    models = read(other / "results.json")["models"]
    assert models["teacher"]["weights"] == results["models"]["teacher"]["weights"]
    assert models["student"]["weights"] != results["models"]["student"]["weights"]


def test_costs_name_what_they_are_of(student):
    costs = read(student.parent / "costs.json")
    (teacher,) = costs["teacher_sft"]["artifacts"]
    assert teacher.startswith("teacher-")
    assert len(costs["evaluate"]["artifacts"]) == 4
    assert sum(costs["evaluate"]["artifacts"].values()) == pytest.approx(costs["evaluate"]["seconds"], abs=0.01)


def test_the_student_is_made_anew_and_nothing_of_somebody_else_s_goes(make_job, tmp_path):
    job = make_job(*ONE_EPOCH)
    folder = finish(job) / "student"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    killed = make_folder(job.run_dir / PARTIAL_STUDENT, UNFINISHED_STUDENT, job.run_dir)
    (killed / "model.safetensors").touch()
    (folder / "config.json").write_text("{}")
    finish(job)
    assert {path.name for path in folder.iterdir()} == before.keys()
    assert all((folder / name).read_bytes() == content for name, content in before.items() if name != MARK)
    assert not killed.exists()
    (folder / "student.gguf").write_text("mine")
    with pytest.raises(StoreError, match=f"left alone.* Where: {folder}. Got: it holds student.gguf"):
        finish(job)
    assert {path.name for path in folder.iterdir()} == {*before, "student.gguf"}
    # A copy in another run's folder is somebody's own: its base model, say.
    (folder / "student.gguf").unlink()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(folder, other / "student")
    with pytest.raises(ConfigError, match=r"Got: .*student/config.json"):
        RunFolder(other).open()
