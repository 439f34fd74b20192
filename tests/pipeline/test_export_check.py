"""An exported student that answers otherwise than the evaluated one is found out, whatever the reason."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scd_lightning.analysis.records import read_predictions
from scd_lightning.data.samples import Sample
from scd_lightning.pipeline import export_check
from scd_lightning.pipeline.export_check import ASKED, SHOWN, Exported, askable, check_export, load_exported
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan

ONE_EPOCH = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")
SIZES = ("task.data.synthetic.test=20", "task.max_new_tokens=12")
# Weights that have learnt nothing, and are so large that every token changes the answer.
LOUD = "+student.architecture.initializer_range=0.5"
RIGHT = {"asked": ASKED, "same": ASKED, "rounding": 0, "different": [], "error": None}


def finish(job) -> dict[str, Any]:
    steps = plan(job)
    return report(job, steps, execute(job, steps))[0]


@pytest.fixture(scope="module")
def jobs(make_job_in, tmp_path_factory):
    """Finished runs of a task that generates and of one that chooses."""
    make = make_job_in(tmp_path_factory.mktemp("checked"))
    made = {task: make(f"task={task}", *ONE_EPOCH, *SIZES, LOUD, run=task) for task in ("ner", "classification")}
    return {task: (job, finish(job)) for task, job in made.items()}


@pytest.fixture(params=["ner", "classification"])
def finished(jobs, request):
    return jobs[request.param]


@pytest.fixture
def student(tmp_path, jobs):
    """A copy of a run's student: its job, the folder, and what was evaluated."""

    def copied(task) -> tuple[Any, Path, list[dict[str, Any]]]:
        job, _ = jobs[task]
        shutil.copytree(job.run_dir / "student", tmp_path / "student")
        return job, tmp_path / "student", read_predictions(job.run_dir, "student")

    return copied


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_run_says_that_its_student_was_exported_as_it_was_evaluated(finished):
    job, results = finished
    assert results["export_check"] == RIGHT
    assert json.loads((job.run_dir / "results.json").read_text())["export_check"] == RIGHT
    card = (job.run_dir / "student" / "README.md").read_text(encoding="utf-8")
    assert f"this code asked the model the {ASKED} shortest test samples" in card
    assert f"token: {ASKED} answers are those that were evaluated.\n" in card


def test_the_shortest_prompts_are_asked(finished):
    job, _ = finished
    order = list(askable(job, load_exported(job, job.run_dir / "student")))
    lengths = [len(job.data.tokenized["test"][index].prompt_ids) for index in order]
    assert len(lengths) == 20
    assert lengths == sorted(lengths)


@pytest.mark.parametrize(
    ("task", "file", "values"),
    [
        ("ner", "generation_config.json", {"repetition_penalty": 3.0}),
        ("ner", "generation_config.json", {"suppress_tokens": list(range(2, 300))}),
        ("ner", "generation_config.json", {"max_new_tokens": 3}),
        ("ner", "prompt_template.json", {"template": "Names in {text}?\n"}),
        ("ner", "config.json", {"rms_norm_eps": 3.0}),
        ("classification", "prompt_template.json", {"template": "{text} is about "}),
        ("classification", "prompt_template.json", {"bos": "<|end|>"}),
        ("classification", "config.json", {"rms_norm_eps": 3.0}),
    ],
)
def test_another_answer_is_counted_and_shown(student, task, file, values):
    job, folder, evaluated = student(task)
    edit(folder / file, **values)
    found = check_export(job, folder, evaluated)
    assert found["error"] is None
    assert found["same"] + found["rounding"] < found["asked"] == ASKED
    assert 1 <= len(found["different"]) <= SHOWN
    by_id = {row["id"]: row["answer"] for row in evaluated}
    for each in found["different"]:
        assert each["evaluated"] == by_id[each["id"]] != each["exported"]


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json", "prompt_template.json"])
def test_a_folder_that_can_not_be_read_is_an_error_in_words(student, file):
    job, folder, evaluated = student("ner")
    (folder / file).unlink()
    found = check_export(job, folder, evaluated)
    assert found["asked"] == 0
    assert found["error"]
    assert str(folder) not in found["error"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("there is no room"), "there is no room"),
        (IndexError("out of range"), "IndexError: out of range"),
        (torch.OutOfMemoryError(), "OutOfMemoryError"),
    ],
)
def test_whatever_is_raised_while_asking_is_no_failure(student, monkeypatch, error, told):
    def fail(*_: Any) -> str:
        raise error

    job, folder, evaluated = student("ner")
    monkeypatch.setattr(export_check, "generated", fail)
    assert check_export(job, folder, evaluated)["error"] == told


def test_ctrl_c_ends_it(student, monkeypatch):
    def interrupt(*_: Any) -> str:
        raise KeyboardInterrupt

    job, folder, evaluated = student("ner")
    monkeypatch.setattr(export_check, "generated", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check_export(job, folder, evaluated)


@pytest.mark.parametrize("task", ["ner", "classification"])
def test_a_template_that_ends_in_a_blank_is_the_prompt_that_is_asked(make_job, task):
    job = make_job(f"task={task}", "task.template='{text} Names: '", *ONE_EPOCH, *SIZES, LOUD)
    assert any("training samples the end of the prompt and the beginning" in doubt for doubt in job.data.doubts)
    assert finish(job)["export_check"] == RIGHT


def test_texts_that_spell_special_tokens_or_were_cut_are_left_out(make_job, tmp_path):
    texts = [f"note {i} by Ann" for i in range(18)]
    texts[3], texts[7] = "an <|end|> in it", "long " * 60
    rows = [json.dumps({"id": str(i), "text": text, "label": "ab"[i % 2]}) for i, text in enumerate(texts)]
    (tmp_path / "data").mkdir()
    for split, lines in {"train": rows[10:16], "validation": rows[16:], "test": rows[:10]}.items():
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines))
    data = (f"task.data.path='{tmp_path / 'data'}'", "task.max_length=48")
    job = make_job("task=classification", *data, *ONE_EPOCH)
    assert finish(job)["export_check"] == RIGHT | {"asked": 8, "same": 8}
    found = askable(job, load_exported(job, job.run_dir / "student"))
    ids = [job.data.samples["test"][index].id for index in found]
    assert set(ids) == {*map(str, range(10))} - {"3", "7"}


def test_only_what_the_model_is_given_is_looked_at():
    fields = {"text": "a text", "labels": "</s>, b"}
    assert export_check._texts(Sample("s", fields, (), "", "", ()), "{text}\n") == ["a text"]
    assert export_check._texts(Sample("s", fields, (), "", "", (), ("</s>", "b")), "{text} {labels}\n") == [
        *("a text", "</s>, b"),
        *("</s>", "b"),
    ]


class Answering(Exported):
    """What an exported student would say, with the leads of its tokens, or of its candidates' scores."""

    def __init__(self, steps: Any = (), scores: Any = (), dtype: torch.dtype = torch.float32) -> None:
        model = SimpleNamespace(dtype=dtype, device=torch.device("cpu"))
        super().__init__(model, None, {}, None)
        self._steps, self._of_candidates = list(steps), list(scores)

    def steps(self, sample):
        return self._steps

    def scores(self, sample):
        return self._of_candidates


def told(answer):
    return str(answer)


@pytest.mark.parametrize(
    ("steps", "near"),
    [
        ([("a", 5.0), ("ab", 1e-5), ("abx", 4.0)], True),
        ([("a", 5.0), ("ab", 2.0), ("abx", 1e-5)], True),
        ([("a", 5.0), ("ab", 2.0), ("abx", 4.0)], False),
        # Before the answers parted by far, and after.
        ([("a", 1e-5), ("ab", 2.0), ("abc", 2.0), ("abcx", 4.0)], False),
        ([("x", 3.0), ("xb", 1e-5)], False),
        # An answer that ended where the evaluated one went on.
        ([("ab", 3.0), ("ab", 1e-5)], True),
    ],
)
def test_a_near_tie_where_the_answers_part_is_rounding(steps, near):
    sample = Sample("s", {}, (), "", "", ())
    assert export_check._nearly(Answering(steps), sample, "abcd", told) is near


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, False), (torch.bfloat16, True)])
def test_half_precision_ties_sooner(dtype, near):
    sample = Sample("s", {}, (), "", "", ())
    exported = Answering([("a", 4.0), ("ax", 0.1)], dtype=dtype)
    assert export_check._nearly(exported, sample, "ab", told) is near


@pytest.mark.parametrize(("scores", "near"), [([-3.0, -1.0, -1.0004], True), ([-3.0, -1.0, -1.1], False)])
def test_candidates_as_good_as_each_other_are_rounding(scores, near):
    sample = Sample("s", {}, (), "c", "c", (), ("a", "b", "c"))
    exported = Answering(scores=scores)
    assert export_check._nearly_chosen(exported, sample, "c", lambda index: "abc"[int(index)]) is near
    assert not export_check._nearly_chosen(exported, sample, "none of them", lambda index: "abc"[int(index)])


def test_a_run_whose_student_can_not_be_asked_ends_well_and_says_so_last(run_py, monkeypatch):
    def fail(*_: Any) -> Any:
        raise RuntimeError("no room for the exported student")

    monkeypatch.setattr(export_check, "load_exported", fail)
    code, out, _ = run_py(*ONE_EPOCH, "hydra.run.dir=run")
    assert code == 0
    warning = "The exported student could not be asked whether it answers as the evaluated one did: no room for the"
    assert warning in " ".join(out.split())
    assert warning in Path("run/report.html").read_text(encoding="utf-8")
    assert f"**Not as evaluated.** {warning}" in Path("run/student/README.md").read_text(encoding="utf-8")
