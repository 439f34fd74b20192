"""A student in fewer bits: it is smaller, answers nearly as before, and what changes is counted rightly."""

import json

import pytest
import torch
from safetensors.torch import load_file

from scd_lightning.cli import export
from scd_lightning.errors import ConfigError
from scd_lightning.models import lower_precision
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.use.evaluated import evaluated
from scd_lightning.use.exporting import check_target, hold_against
from scd_lightning.use.student import Student

FAST = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1", "task.data.synthetic.test=20")
# What weights are once they are read; integers are made floats.
LOADED = {"bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.bfloat16}
LOUD = "+student.architecture.initializer_range=0.5"


@pytest.fixture(scope="module")
def runs(make_job_in, tmp_path_factory):
    """Task -> the folder of a finished run."""
    make, made = make_job_in(tmp_path_factory.mktemp("exported")), {}
    for task in ("ner", "classification", "qa"):
        job = make(f"task={task}", *FAST, LOUD, "task.max_new_tokens=12", run=task)
        steps = plan(job)
        report(job, steps, execute(job, steps))
        made[task] = job.run_dir
    return made


def asked_of(folder, student):
    """What a run's student was evaluated on, and what it answered."""
    found = evaluated(folder, student.form)
    assert found is not None
    return found


@pytest.fixture
def run(capsys):
    """Runs the command; its exit code, lines and complaint."""

    def call(*arguments):
        code = export.main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


@pytest.mark.parametrize(
    ("dtype", "task"), [("bfloat16", "ner"), ("float16", "classification"), ("int8", "classification")]
)
def test_a_student_in_fewer_bits(runs, run, tmp_path, dtype, task):
    output = tmp_path / "small"
    code, lines, _ = run(runs[task], "--output", output, "--dtype", dtype)
    assert code == 0
    assert lines[-1] == f"student: {output}"
    before, after = (
        sum(f.stat().st_size for f in folder.glob("*.safetensors")) for folder in (runs[task] / "student", output)
    )
    assert after < 0.7 * before
    # All else is as it was: it is asked alike.
    for name in ("prompt_template.json", "tokenizer.json", "generation_config.json", "base_model.json"):
        assert (output / name).read_bytes() == (runs[task] / "student" / name).read_bytes()
    small = Student.load(output)
    assert {each.dtype for each in small.model.parameters()} == {LOADED[dtype]}
    # The answers that differ are those that differ.
    rows, before_answers = asked_of(runs[task], small)
    now = [each.answer for part in small.answer(rows) for each in part]
    different = sum(old != new for old, new in zip(before_answers, now, strict=True))
    assert lines[1].startswith(f"{different} of 20 answers are others")
    card = (output / "README.md").read_text()
    assert "## These weights" in card
    assert f"{different} of 20 answers are others" in card
    assert card.startswith((runs[task] / "student" / "README.md").read_text().rstrip())


def test_integers_are_the_nearest_ones(runs, run, tmp_path):
    output = tmp_path / "small"
    run(runs["classification"], "--output", output, "--dtype", "int8")
    whole = load_file(runs["classification"] / "student" / "model.safetensors")
    small = Student.load(output).model.model.state_dict()
    layers = [name for name in whole if name.endswith("_proj.weight")]
    assert layers
    for name in layers:
        # Half a step of a symmetric grid, and what bfloat16 makes of the weight before, the scale and their product.
        step = whole[name].abs().amax(1, keepdim=True) / 127.5
        room = 0.5 * step + 4 * whole[name].abs() / 256
        assert torch.all((small[name].float() - whole[name]).abs() <= room)
    config = json.loads((output / "config.json").read_text())["quantization_config"]
    assert config["quant_method"] == "compressed-tensors"
    assert config["ignore"] == ["lm_head"]


def test_metrics_before_and_after_are_the_tasks(runs):
    folder = runs["classification"]
    student = Student.load(folder)
    rows, answers = asked_of(folder, student)
    recorded = json.loads((folder / "results.json").read_text())["metrics"]["student"]
    held = hold_against(student, rows, answers, 8, labelled=True)
    assert held.rows == 20
    assert not held.changes
    assert held.values is not None
    assert held.values[0] == held.values[1] == pytest.approx(recorded[held.metric], abs=1e-5)
    # Other answers before: they are changes, and count.
    labels = student.form.labels
    others = [labels[(labels.index(answer) + 1) % len(labels)] for answer in answers]
    other = hold_against(student, rows, others, 8, labelled=True)
    assert [(each.before, each.after) for each in other.changes] == list(zip(others, answers, strict=True))
    assert other.values is not None
    assert other.values[0] != other.values[1]


def test_what_has_no_rows_is_compared_on_a_file(runs, run, tmp_path):
    student = runs["qa"] / "student"
    code, lines, _ = run(student, "--output", tmp_path / "one")
    assert (code, lines[1]) == (0, "Answers were not compared: name rows by --file.")
    assert "not measured" in (tmp_path / "one" / "README.md").read_text()
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "Who?", "context": "Ann met Bob."}) + "\n")
    code, lines, _ = run(student, "--output", tmp_path / "two", "--file", rows)
    assert code == 0
    assert lines[1] in (
        "0 of 1 answers are others than the evaluated student's",
        "1 of 1 answers are others than the evaluated student's",
    )


def test_folders_that_are_there_and_packages_that_are_not(runs, run, tmp_path, monkeypatch):
    code, _, err = run(runs["ner"], "--output", tmp_path)
    assert (code, "which is there" in err) == (2, True)
    code, _, err = run(runs["ner"], "--output", tmp_path / "no" / "where")
    assert (code, "in a folder that is not there" in err) == (2, True)
    monkeypatch.setattr(lower_precision, "find_spec", lambda name: None)
    code, _, err = run(runs["ner"], "--output", tmp_path / "small", "--dtype", "int8")
    assert (code, "pip install compressed-tensors" in err) == (2, True)
    assert not (tmp_path / "small").exists()
    with pytest.raises(ConfigError):
        check_target(tmp_path, "output")
