"""Texts without labels: who answers them, which count, what a student learns on them, and by which means alike."""

import json
import random
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from lightning import Callback
from scipy.special import log_softmax, rel_entr, softmax

from scd_lightning.errors import ConfigError
from scd_lightning.pipeline import texts
from scd_lightning.pipeline.answer import ANSWERS, VALIDATION
from scd_lightning.pipeline.keys import answers_key
from scd_lightning.pipeline.predict import PredictionLog
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.results import AnswersResult
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.student_training import WEIGHTS
from scd_lightning.store.artifacts import Artifact
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import read_json_lines, write_json_lines
from scd_lightning.training.data_module import encode_answers, with_answers

TEACHER, ANSWERED = "teacher_sft", "teacher_sft,student_sft,answer"
TEXTS = 20
RUN = ("task=classification", f"task.data.synthetic.unlabelled={TEXTS}", "trainer.precision=64-true")


class Steps(Callback):
    """Keeps, of a student's training, the weights before each step, the samples of the step and its loss."""

    def __init__(self, kept: list) -> None:
        self.kept = kept

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if pl_module.phase == "distill":
            self.before = {name: p.detach().clone() for name, p in pl_module.lm.base.state_dict().items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.phase == "distill":
            self.kept.append((trainer.current_epoch, self.before, batch.indices, float(outputs["loss"])))


def completion_logits(model, samples):
    """[completion tokens, V] of each sample, by one unpadded pass."""
    found = []
    for sample in samples:
        with torch.no_grad():
            ids = torch.tensor([sample.prompt_ids + sample.completion_ids])
            found.append(model.double().eval()(input_ids=ids).logits[0, len(sample.prompt_ids) - 1 : -1].numpy())
    return found


def cross_entropies(logits, samples):
    pairs = zip(logits, samples, strict=True)
    return [-np.mean(log_softmax(each, -1)[range(len(each)), s.completion_ids]) for each, s in pairs]


@pytest.mark.parametrize("source", ["stage", "best"])
@pytest.mark.parametrize("teacher", ["cached", "live"])
def test_the_loss_of_rows_with_and_without_labels_by_hand(make_job, made_before, run_job, source, teacher):
    job = make_job(*RUN, "method=cd_aw", f"method.teacher={teacher}", f"unlabelled.from={source}",
                   "unlabelled.weight=0.8", "phases=[teacher_sft,student_sft,answer,distill]")  # fmt: skip
    made_before(job.store.root, ANSWERED, *RUN, "method=cd_aw")
    steps: list = []
    job.callbacks = [lambda: Steps(steps)]
    made = run_job(job)
    samples = texts.with_texts(job, made).data.tokenized["train"]
    labelled = len(job.data.samples["train"])
    assert len(samples) > labelled

    store, best = CheckpointStore(made["teacher"].folder / "trajectory"), made["teacher"].result.best
    teachers = []
    for index in range(store.count):
        model = job.build(job.teacher)
        store.load_into(model, index)
        teachers.append(completion_logits(model.base, samples))
    stages = [stage["checkpoint"] for stage in made["student"].result.schedule]
    assert len(set(stages)) == 2
    assert best in stages
    anchor_loss = np.load(made["anchor"].folder / "train_losses.npy")

    student, mixed = job.build(job.student).base, 0
    for epoch, weights, indices, loss in steps:
        student.load_state_dict(weights)
        ours = completion_logits(student, [samples[i] for i in indices])
        stage, parts = stages[epoch], []
        for i, logits, ce in zip(indices, ours, cross_entropies(ours, [samples[i] for i in indices]), strict=True):
            at = stage if i < labelled or source == "stage" else best
            kl = rel_entr(softmax(teachers[at][i], -1), softmax(logits, -1)).sum(-1).mean()
            w = 0.8
            if i < labelled:
                teacher_loss = cross_entropies([teachers[at][i]], [samples[i]])[0]
                w = anchor_loss[i] / (anchor_loss[i] + teacher_loss)
            parts.append((1 - w) * ce + w * kl)
        assert loss == pytest.approx(np.mean(parts), abs=1e-6)
        mixed += len({i < labelled for i in indices}) == 2
    assert mixed > 1
    for stage in made["student"].result.schedule:
        assert sum(stage["weights"]) == labelled


def test_pseudo_labels_are_labels(make_job, made_before, run_job):
    job = make_job(*RUN, "method=pl", "phases=[teacher_sft,answer,distill]")
    made_before(job.store.root, ANSWERED, *RUN, "method=cd_aw")
    steps: list = []
    job.callbacks = [lambda: Steps(steps)]
    made = run_job(job)
    assert "anchor" not in made
    samples = texts.with_texts(job, made).data.tokenized["train"]
    student = job.build(job.student).base
    for _, weights, indices, loss in steps:
        student.load_state_dict(weights)
        asked = [samples[i] for i in indices]
        assert loss == pytest.approx(np.mean(cross_entropies(completion_logits(student, asked), asked)), abs=1e-6)
    assert {i for _, _, indices, _ in steps for i in indices} == set(range(len(samples)))
    assert made["student"].costs["samples"] == len(samples) * job.budget.epochs


def test_pseudo_labels_may_start_from_the_anchor(make_job, run_job):
    phases = "phases=[teacher_sft,student_sft,answer,distill]"
    job = make_job(*RUN, "method=pl", "student.init=anchor", phases)
    steps: list = []
    job.callbacks = [lambda: Steps(steps)]
    made = run_job(job)
    anchor = job.build(job.student)
    CheckpointStore(made["anchor"].folder / WEIGHTS).load_into(anchor, 0)
    first, weights = steps[0][1], anchor.base.state_dict()
    assert all(torch.equal(first[name], each) for name, each in weights.items())


def test_answers_are_the_teachers_own(make_job, run_job):
    job = make_job(*RUN, "task=qa", "phases=[teacher_sft,answer]")
    made = run_job(job)
    rows = read_json_lines(made["answers"].folder / ANSWERS)
    assert len(rows) == TEXTS == made["answers"].result.answered
    model = job.build(job.teacher)
    CheckpointStore(made["teacher"].folder / "trajectory").load_into(model, made["teacher"].result.best)
    end = job.tokenizer.eos_token_id
    for row, sample in zip(rows, job.data.tokenized["unlabelled"], strict=True):
        ids, probability = list(sample.prompt_ids), 1.0
        for _ in range(job.data.max_new_tokens):
            with torch.no_grad():
                step = model.base.double().eval()(input_ids=torch.tensor([ids])).logits[0, -1].softmax(-1)
            ids.append(int(step.argmax()))
            probability *= float(step.max())
            if ids[-1] == end:
                break
        assert row["answer"] == job.tokenizer.decode(ids[len(sample.prompt_ids) :], skip_special_tokens=True).strip()
        assert row["probability"] == pytest.approx(probability, rel=1e-6)
    checked = read_json_lines(made["answers"].folder / VALIDATION)
    assert [row["id"] for row in checked] == [sample.id for sample in job.data.samples["validation"]]


def test_what_is_shared(make_job, made_before, run_job):
    """The anchor and its numbers know nothing of texts, and methods share the answers."""
    without = (*RUN, "task.data.synthetic.unlabelled=null", "method=td")
    alone = make_job(*without)
    made_before(alone.store.root, "teacher_sft,student_sft", *without)
    job = make_job(*RUN, "method=td", "phases=[teacher_sft,student_sft,answer,distill]")
    first = run_job(job)
    assert first["teacher"].reused
    assert first["anchor"].reused
    evaluations = [{step.name: step.key for step in plan(each)}["evaluation of anchor"] for each in (alone, job)]
    assert evaluations[0] == evaluations[1]
    assert not first["student"].reused
    assert run_job(make_job(*RUN, "method=pl", "phases=[answer]"))["answers"].reused
    # How texts count is nothing that answers depend on, and something that a student does.
    other = make_job(*RUN, "method=td", "unlabelled.weight=0.5")
    assert answers_key(other) == first["answers"].key
    assert other.store.find(next(step.key for step in plan(other) if step.name == "student")) is None
    sft = plan(make_job(*RUN, "method=sft"))
    assert "answers" not in [step.name for step in sft]


def test_agreed_answers_are_those_of_the_last_three(make_job, made_before, run_job):
    asked = make_job(*RUN, "unlabelled.keep=agreed", "phases=[teacher_sft,answer]")
    made_before(asked.store.root, TEACHER, *RUN)
    made = run_job(asked)
    agreed = read_json_lines(made["answers"].folder / ANSWERS)
    for row in agreed:
        assert row["agreed"] in (True, False)
    job = make_job(*RUN, "phases=[teacher_sft,answer]")
    assert answers_key(job) != made["answers"].key


@pytest.mark.parametrize("task", [pytest.param("qa", marks=pytest.mark.slow), "classification"])
def test_an_interrupted_phase_goes_on_answer_by_answer(make_job, made_before, run_job, task, monkeypatch):
    overrides = (*RUN, f"task={task}", "task.evaluation_batch=4", "phases=[teacher_sft,answer]")
    undisturbed, job = make_job(*overrides, store="whole"), make_job(*overrides)
    for each in (undisturbed, job):
        made_before(each.store.root, TEACHER, *overrides[:-1])
    whole = run_job(undisturbed)["answers"]
    appends = []
    append = PredictionLog.append

    def dies(self, predictions, costs=None):
        append(self, predictions, costs)
        appends.append(len(predictions))
        if len(appends) == 3:
            raise RuntimeError("killed")

    monkeypatch.setattr(PredictionLog, "append", dies)
    with pytest.raises(RuntimeError, match="killed"):
        run_job(job)
    before = sum(appends)
    resumed = run_job(make_job(*overrides))["answers"]
    assert 0 < before < TEXTS
    assert sum(appends) == TEXTS + len(read_json_lines(whole.folder / VALIDATION))
    for name in (ANSWERS, VALIDATION):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def trained(make, recorder, *, locking):
    job = make(prepared=False)
    job.store.locking = locking
    job.callbacks = [partial(recorder, str(job.run_dir))]
    job = prepare(job)
    execute(job, plan(job))


@pytest.fixture(scope="module")
def train(make_job_in, in_two_processes, read_losses, recorder, tmp_path_factory):
    def call(*overrides):
        folder = tmp_path_factory.mktemp("run")
        make = partial(make_job_in(folder), *RUN, "method=scd_aw", "budget.stages=2", *overrides)
        if "trainer=ddp_cpu" in overrides:
            assert in_two_processes(partial(trained, make, recorder, locking=False)) == [0, 0]
        else:
            trained(make, recorder, locking=True)
        job = make()
        answers = job.store.find(answers_key(job))
        assert answers is not None
        return read_losses(job.run_dir), read_json_lines(answers.folder / ANSWERS)

    return call


@pytest.fixture(scope="module")
def reference(train):
    return train("unlabelled.from=best")


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(("method.teacher=live",), marks=pytest.mark.slow),
        ("trainer=ddp_cpu",),
        ("trainer.micro_batches=2",),
    ],
)
def test_the_same_by_other_means(reference, train, variant):
    losses, answers = train("unlabelled.from=best", *variant)
    expected, expected_answers = reference
    assert [row["answer"] for row in answers] == [row["answer"] for row in expected_answers]
    assert losses.keys() == expected.keys()
    assert max(abs(losses[key] - loss) for key, loss in expected.items()) < 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_is_the_lowest_that_is_right_often_enough(seed):
    draw = random.Random(seed)
    rows = [
        {"probability": draw.choice([0.1, 0.3, 0.5, 0.7, 0.9]), "malformed": False, "ended": True} for _ in range(30)
    ]
    for row in rows:
        row["right"] = draw.random() < row["probability"]
    right_from = {
        p: np.mean([row["right"] for row in rows if row["probability"] >= p]) for p in {r["probability"] for r in rows}
    }
    enough = [p for p, share in right_from.items() if share >= 0.9]
    found = texts.threshold("confident", rows)
    assert found == (min(enough) if enough else None)
    kept = texts.keep("confident", rows, found)
    assert kept == [found is not None and row["probability"] >= found for row in rows]


def test_malformed_answers_and_those_without_an_end_are_never_kept():
    forms = [(True, True), (False, False), (False, True)]
    rows = [{"malformed": bad, "ended": whole, "probability": 1.0, "agreed": True} for bad, whole in forms]
    for rule in ("all", "confident", "agreed"):
        assert texts.keep(rule, rows, 0.5) == [False, False, True]


def test_nothing_is_left(make_job, run_job):
    job = make_job(*RUN, "task=ner", "teacher.optimizer.lr=1e-9")
    with pytest.raises(ConfigError, match=r"unlabelled\.keep=all.*20 answers, 20 of them malformed"):
        run_job(job)


def test_an_answer_that_takes_more_tokens_than_there_is_room_for_is_not_learnt_from(make_job):
    job = make_job("task=ner", "task.data.synthetic.unlabelled=3", "task.max_new_tokens=12")
    long = "PERSON: Ann\n" * 12
    answers = {0: "PERSON: Ann", 1: long, 2: "none"}
    found = encode_answers(job.data, job.tokenizer, answers)
    assert list(found) == [0, 2]
    for index, (text, ids) in found.items():
        assert text.completion == answers[index]
        # Its end is one of the tokens that an answer has room for.
        assert len(ids.completion_ids) <= 12
        assert job.tokenizer.decode(ids.completion_ids[:-1]) == answers[index]
    data = with_answers(job.data, list(found.values()))
    assert [each.index for each in data.tokenized["train"]] == list(range(50))
    assert [each.completion for each in data.samples["train"][48:]] == ["PERSON: Ann", "none"]


def test_where_no_answer_has_an_end_it_is_said_so(make_job, run_job):
    job = make_job(*RUN, "task=ner", "task.max_new_tokens=1", "unlabelled.keep=all", prepared=False)
    rows = [{"id": str(i), "answer": "none", "malformed": False, "ended": False, "agreed": None} for i in range(TEXTS)]
    job = prepare(job)
    folder = job.run_dir / "answers"
    folder.mkdir()
    write_json_lines(folder / ANSWERS, rows)
    write_json_lines(folder / VALIDATION, [])
    answers = Artifact(answers_key(job), folder, AnswersResult(TEXTS, 0), {}, reused=True)
    assert not any(texts.read_answers(job, answers).kept)
    with pytest.raises(ConfigError, match=r"20 without an end after task\.max_new_tokens=1\."):
        texts.with_texts(job, {"answers": answers})


def test_one_checkpoint_has_none_to_agree_with(make_job):
    alone = (*RUN, "teacher.checkpoints=1", "unlabelled.keep=agreed")
    with pytest.raises(ConfigError, match=r"teacher\.checkpoints\. Got: 1\. Expected: 2 or more"):
        make_job(*alone)
    make_job(*alone, "method=sft")
    make_job("teacher.checkpoints=1", "unlabelled.keep=agreed")


def test_a_text_that_no_step_has_room_for_is_refused_before_anything_is_trained(make_job, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("short\n" + "a long one " * 30 + "\n")
    asked = ("task=classification", f"task.data.unlabelled='{file}'")
    longest = max(len(each) for each in make_job(*asked).data.tokenized["train"])
    small = f"budget.batch_tokens={longest + 5}"
    with pytest.raises(ConfigError, match=r"budget\.batch_tokens.*or more, for the text .* the longest answer") as told:
        make_job(*asked, small)
    (enough,) = re.findall(r"Expected: (\d+) or more", str(told.value))
    job = make_job(*asked, f"budget.batch_tokens={enough}", "method=pl")
    labels = sorted(job.data.samples["train"][0].candidates, key=len)
    learnt = with_answers(
        job.data, list(encode_answers(job.data, job.tokenizer, {0: labels[0], 1: labels[-1]}).values())
    )
    replace(job, data=learnt).data_module(job.budget.batch).train_sampler()
    make_job(*asked, small, "method=sft")
    make_job(*asked, f"teacher.batch_tokens={longest}")


def test_pseudo_labels_need_texts(make_job):
    with pytest.raises(ConfigError, match=r"method=pl.*task\.data\.unlabelled"):
        make_job("method=pl")


def test_what_a_run_says_of_them(make_job, made_before, run_job):
    job = make_job(*RUN, "method=td")
    made_before(job.store.root, ANSWERED, *RUN, "method=cd_aw")
    run_job(job)
    facts = json.loads((job.run_dir / "results.json").read_text())["data"]["unlabelled"]
    rows = read_json_lines(job.run_dir / "predictions" / "unlabelled.jsonl")
    assert facts["texts"] == facts["answered"] == facts["kept"] == len(rows) == TEXTS
    assert sum(facts["labels"]["answers"].values()) == TEXTS
    assert sum(facts["labels"]["train"].values()) == len(job.data.samples["train"])
    assert facts["precision"]["of"] == len(job.data.samples["validation"])
    assert facts["precision"]["low"] <= facts["precision"]["value"] <= facts["precision"]["high"]
    assert {row["kept"] for row in rows} == {True}


def test_a_budget_of_samples_counts_texts_too(make_job, made_before, run_job):
    job = make_job(*RUN, "method=td", "budget.samples=400")
    made_before(job.store.root, TEACHER, *RUN)
    made = run_job(job)
    # 48 rows: 4 epochs of each of 2 stages; 68 with the texts: 3.
    assert made["anchor"].costs["samples"] == 8 * 48
    assert made["student"].costs["samples"] == 6 * 68
    results = json.loads((job.run_dir / "results.json").read_text())
    assert results["samples_seen"] == {"anchor": 8 * 48, "student": 6 * 68}
    assert [stage["epochs"] for stage in made["student"].result.schedule] == [[0, 2], [3, 5]]
    assert run_job(make_job(*RUN, "method=td", "budget.samples=400", run="again"))["student"].reused
