"""The test split shapes nothing: what is made of train and validation is the same whatever test holds."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from scd_lightning.pipeline.keys import anchor_key
from scd_lightning.pipeline.runner import plan

Rows = list[dict[str, Any]]
Kind = tuple[Rows, Rows]
# By task: rows of train and validation, test rows of the same kind, and test rows that train has nothing like.
NER: Kind = (
    [{"text": f"Ada met {i}.", "entities": [{"start": 0, "end": 3, "label": "WHO"}] * (i % 5 > 0)} for i in range(12)],
    [
        {"text": "Bo met her.", "entities": [{"start": 0, "end": 2, "label": "WHO"}]},
        {"text": "東京は大きい。" * 9, "entities": [{"start": 0, "end": 2, "label": "WHERE"}]},
        {"text": "Nobody: none.", "entities": []},
    ],
)
CLASSES: Kind = (
    [{"text": f"note {i}", "label": "ab"[i % 2]} for i in range(12)],
    [
        {"text": "a known one", "label": "a"},
        {"text": "another " * 40, "label": "c"},
        {"text": "分類できない文章です。" * 5, "label": "a first one in the alphabet"},
    ],
)
CHOICES: Kind = (
    [{"question": f"Which {i}?", "choices": ["x", "y"], "answer": i % 2} for i in range(12)],
    [
        {"question": "Which one?", "choices": list("pqrstuv"), "answer": 6},
        {"question": "どれですか。" * 20, "choices": ["p", "q", "r"], "answer": 2},
    ],
)
CLOSED: Kind = (
    [{"question": f"Is it {i}?", "context": "It is.", "answer": ("yes", "no")[i % 2]} for i in range(12)],
    [
        {"question": "Is it known?", "context": "It is.", "answer": True},
        {"question": "Is it so?", "context": "Who knows.", "answer": "maybe"},
        {"question": "And this?", "context": "Some say.", "answer": "it depends"},
    ],
)
SPANS: Kind = (
    [{"question": f"Where is {i}?", "context": f"It is in Rome {i}.", "answer": f"Rome {i}"} for i in range(12)],
    [
        {
            "question": "Where?",
            "context": "In a far away place. " * 30,
            "answer": "a far away place. In a far away place",
        },
        {"question": "Is it?", "context": "It is.", "answer": "yes"},
    ],
)
KINDS: dict[str, tuple[str, Kind]] = {
    "ner": ("ner", NER),
    "classes": ("classification", CLASSES),
    "choices": ("qa", CHOICES),
}
KINDS |= {"closed": ("qa", CLOSED), "spans": ("qa", SPANS)}


@pytest.fixture(params=KINDS)
def two_jobs(request, make_job, tmp_path):
    """Jobs on equal train and validation splits, the second one on a test split like nothing before."""
    task, (rows, unlike) = KINDS[request.param]

    def job(name, test):
        folder = tmp_path / name
        folder.mkdir()
        for split, part in {"train": rows[:7], "validation": rows[7:9], "test": test}.items():
            _write(folder / f"{split}.jsonl", part)
        data = (f"task={task}", f"task.data.path={folder}", "task.validation=task")
        return make_job(*data, "method=sft", "phases=[student_sft]", run=name, store=f"store of {name}")

    plain = job("plain", rows[9:])
    with pytest.warns(UserWarning, match="labels that train lacks") if request.param != "spans" else nullcontext():
        return plain, job("unlike", unlike)


def _write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_what_is_trained_and_its_names_are_the_same(two_jobs, run_job):
    plain, unlike = two_jobs
    for split in ("train", "validation"):
        assert plain.data.tokenized[split] == unlike.data.tokenized[split]
    keys = [{step.name: step.key.digest for step in plan(job)} for job in two_jobs]
    same = {name for name in keys[0] if keys[0][name] == keys[1][name]}
    assert same == {"teacher", "anchor", "confidence of student"}
    assert plain.data.digest != unlike.data.digest
    weights = []
    for job in two_jobs:
        made = run_job(job)["anchor"]
        files = sorted(made.folder.rglob("*.safetensors"))
        weights.append([file.read_bytes() for file in files])
        assert files
        assert made.key.digest == anchor_key(plain).digest
    assert weights[0] == weights[1]


def test_rows_that_no_model_can_answer_are_named_and_count_as_wrong(two_jobs):
    _, unlike = two_jobs
    data = unlike.data
    unseen = data.description["unseen_labels"]
    rows, described = [], []
    for index, sample in enumerate(data.samples["test"]):
        if not set(sample.labels) <= set(unseen) or not sample.labels:
            continue
        answers = sample.candidates if sample.candidates and sample.gold not in sample.candidates else ["?"]
        for answer in range(len(answers)) if sample.candidates else answers:
            judged = data.judge("test", index, answer)
            assert judged.score == 0
            rows.append(judged.row())
            described.append(data.describe("test", index))
    for name, measure in data.measures.items():
        if rows and name != "malformed":
            sums = measure.columns(rows, described)
            assert sums is not None
            assert measure.value(sums.sum(0)[None])[0] <= 0
