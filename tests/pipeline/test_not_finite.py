"""A training whose numbers are lost stops, names the samples, and leaves nothing made of them."""

import json
import math
import re

import pytest
import torch
from lightning import Callback

from scd_lightning.errors import NotFinite
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.training import predictor
from scd_lightning.training.fine_tuning import FineTuning
from scd_lightning.training.finite import FiniteWatch
from scd_lightning.training.sums import WeightedMean

# Of tied weights, a token's row in the head would spoil every sample.
UNTIED = "student.architecture.tie_word_embeddings=false"
ALONE = ("method=sft", "phases=[student_sft]", UNTIED)


def rare_token(job):
    """A token that stands in the prompts of the fewest samples, and those samples."""
    holders: dict[int, set[int]] = {}
    for sample in job.data.tokenized["train"]:
        for token in sample.prompt_ids:
            holders.setdefault(token, set()).add(sample.index)
    token = min(holders, key=lambda token: (len(holders[token]), token))
    return token, holders[token]


def first_step(job, culprits):
    """The optimizer step, from 1, that meets one of some samples first, and those of them that it holds."""
    plan = job.data_module(job.budget.batch).train_sampler().plan.batches
    step, batch = next((i, batch) for i, batch in enumerate(plan) if culprits & set(batch))
    return step + 1, sorted(culprits & set(batch))


def has_sample(text, job, index):
    sample = job.data.samples["train"][index]
    return f"{sample.id} ({sample.row.where})" in text


class Keeper(Callback):
    """Keeps the weights as they were before each batch."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.module = pl_module
        self.before = {name: value.detach().clone() for name, value in pl_module.lm.state_dict().items()}


def test_validation_losses_that_are_lost_name_the_checkpoint(make_job, run_job, monkeypatch):
    monkeypatch.setattr(WeightedMean, "compute", lambda self: self.total * torch.inf)
    with pytest.raises(NotFinite, match=r"validation \w+ of a teacher's checkpoint.*step \d+\. Got: (inf|nan)"):
        run_job(make_job("phases=[teacher_sft]"))


def test_so_does_a_student_s_validation(make_job, run_job, monkeypatch):
    """In all processes: the one that saves weights is not the only one that knows."""
    monkeypatch.setattr(WeightedMean, "compute", lambda self: self.total * torch.inf)
    with pytest.raises(NotFinite, match=r"validation \w+ of the student.*student_sft, optimizer step 6\. ") as told:
        run_job(make_job(*ALONE))
    assert "lower student.optimizer.lr" in str(told.value)


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_loss_of_an_evaluated_sample_that_is_lost_names_it(make_job, run_job, monkeypatch, lost):
    def lose(token_losses, rows, size):
        return per_sample_mean(token_losses, rows, size).index_fill(0, torch.tensor([0]), lost)

    run_job(make_job("method=sft", "phases=[teacher_sft,student_sft]"))
    job = make_job("method=sft", run="evaluated")
    monkeypatch.setattr(predictor, "per_sample_mean", lose)
    with pytest.raises(NotFinite, match=rf"loss of a sample is no finite number.*test, id .*Got: {lost}") as told:
        run_job(job)
    assert any(f"{sample.place('test')}." in str(told.value) for sample in job.data.samples["test"])
    assert not (job.run_dir / "results.json").exists()


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_the_samples_are_named_and_the_weights_stay(make_job, run_job, poison, micro_batches):
    job = make_job(*ALONE, f"trainer.micro_batches={micro_batches}")
    token, culprits = rare_token(job)
    step, expected = first_step(job, culprits)
    keeper = Keeper()
    job.callbacks = [lambda: poison(token), lambda: keeper]
    with pytest.raises(NotFinite) as raised:
        run_job(job)
    text = str(raised.value)
    assert f"student_sft, with the student scratch student, optimizer step {step}." in text
    assert f"{len(expected)} of its 8 samples" in text
    assert all(has_sample(text, job, index) for index in expected)
    assert not any(has_sample(text, job, index) for index in range(48) if index not in expected)
    for name, value in keeper.module.lm.state_dict().items():
        torch.testing.assert_close(value, keeper.before[name], rtol=0, atol=0, equal_nan=True)
    assert not list(job.store.root.glob("anchor-*/artifact.json"))


def test_a_late_look_finds_the_same(make_job, run_job, poison, monkeypatch):
    """As on a GPU, whose numbers are not waited for in each step."""
    monkeypatch.setattr(FineTuning, "_unseen_steps", 10**9)
    job = make_job(*ALONE)
    token, culprits = rare_token(job)
    step, expected = first_step(job, culprits)
    job.callbacks = [lambda: poison(token)]
    with pytest.raises(NotFinite, match=f"optimizer step {step}\\.") as raised:
        run_job(job)
    assert all(has_sample(str(raised.value), job, index) for index in expected)


def test_no_checkpoint_of_lost_numbers_is_kept(make_job, run_job, monkeypatch):
    monkeypatch.setattr(FineTuning, "_unseen_steps", 10**9)
    saved = []
    monkeypatch.setattr("scd_lightning.store.checkpoints.CheckpointStore.save", lambda *_, **__: saved.append(1))
    job = make_job("phases=[teacher_sft]", "teacher.optimizer.lr=1e30")
    with pytest.raises(NotFinite, match=r"teacher_sft.*optimizer step 2\..*teacher\.optimizer\.lr"):
        run_job(job)
    assert not saved


class SpoiltGradient(Callback):
    """An infinite gradient below a loss as it should be."""

    def on_after_backward(self, trainer, pl_module):
        if trainer.global_step == 2:
            next(pl_module.lm.parameters()).grad[0, 0] = torch.inf


@pytest.mark.parametrize("clipping", ["trainer.gradient_clip_val=1", "trainer.gradient_clip_val=null",
                                      "+trainer.gradient_clip_algorithm=value"])  # fmt: skip
def test_gradients_alone(make_job, run_job, clipping):
    job = make_job(*ALONE, clipping)
    job.callbacks = [SpoiltGradient]
    with pytest.raises(
        NotFinite, match=r"The gradients are no finite.*step 3\..*finite losses in all of its.*: train-"
    ):
        run_job(job)


def test_the_loss_alone_counts_where_scaled_gradients_may_overflow(make_job, run_job, poison, monkeypatch):
    """As with float16, whose steps with such gradients Lightning leaves out."""
    monkeypatch.setattr(FineTuning, "_scales_loss", True)
    norms, close = [], FiniteWatch.close

    def note(self, step, norm):
        norms.append(norm)
        close(self, step, norm)

    monkeypatch.setattr(FiniteWatch, "close", note)
    job = make_job(*ALONE)
    token, culprits = rare_token(job)
    step, _ = first_step(job, culprits)
    job.callbacks = [lambda: poison(token)]
    with pytest.raises(NotFinite, match=f"The loss .*optimizer step {step}\\."):
        run_job(job)
    assert set(norms) == {None}


TOO_HIGH = ("method=td", "student.optimizer.lr=1e30", "hydra.run.dir=run")


def test_a_learning_rate_that_is_far_too_high(run_py, tmp_path):
    code, _, error = run_py(*TOO_HIGH)
    check_told(tmp_path, code, error)


@pytest.mark.slow
def test_a_learning_rate_that_is_far_too_high_for_two_processes(command, tmp_path):
    done = command("trainer=ddp_cpu", *TOO_HIGH, check=False)
    check_told(tmp_path, done.returncode, done.stderr)


def check_told(tmp_path, code, error):
    assert code == 2, error
    # A rank tells, and its parent.
    (message,) = set(re.findall(r"^NotFinite: .*$", error, re.MULTILINE))
    for part in ("student_sft", "optimizer step 2.", "embedded ner train:", "lower student.optimizer.lr"):
        assert part in message
    assert json.loads((tmp_path / "run" / "failure.json").read_text())["type"] == "NotFinite"
    finished = {path.parent.name.split("-")[0] for path in (tmp_path / "store").glob("*/artifact.json")}
    assert finished == {"tokenizer", "gold", "teacher"}


@pytest.mark.slow
def test_all_processes_stop_for_the_sample_of_one(command, make_job, tmp_path):
    job = make_job(*ALONE)
    token, culprits = rare_token(job)
    step, expected = first_step(job, culprits)
    poison = f"+callbacks.poison={{_target_: conftest.Poison, _partial_: true, token: {token}}}"
    done = command("trainer=ddp_cpu", *ALONE, poison, "hydra.run.dir=run", check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"optimizer step {step}." in done.stderr
    assert f"{len(expected)} of its 8 samples" in done.stderr
    assert all(has_sample(done.stderr, job, index) for index in expected)
