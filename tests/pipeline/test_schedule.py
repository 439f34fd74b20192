"""The recorded scores against ones computed from full logits of the stored checkpoints, sample by sample."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from lightning import Callback
from safetensors.torch import load_file
from scipy.special import log_softmax, rel_entr, softmax
from transformers import LlamaForCausalLM

from scd_lightning.analysis.subdomains import decompose
from scd_lightning.pipeline.distill import draw_probe

Logits = list[np.ndarray]


class StageStarts(Callback):
    """Keeps the student's weights as they are when a stage begins."""

    def __init__(self, kept: list) -> None:
        self.kept = kept

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        if type(pl_module).__name__ == "Distillation":
            self.kept.append({name: p.detach().clone() for name, p in pl_module.lm.base.state_dict().items()})


@pytest.fixture
def make_begun(make_job, made_before):
    """Makes a job of a distillation, for which teacher and anchor are there."""

    def make(*overrides):
        job = make_job(*overrides, "phases=[distill]")
        made_before(job.store.root, "teacher_sft,student_sft", *overrides)
        return job

    return make


@pytest.fixture(params=["cached", "live"])
def job(make_begun, request):
    return make_begun(
        "method=scd_aw", f"method.teacher={request.param}", "budget.stages=3", "trainer.precision=64-true"
    )


def full_logits(model: LlamaForCausalLM, job, indices, split: str = "train") -> Logits:
    """[completion tokens, V] of each sample, by one unpadded pass over prompt and completion."""
    model.double().eval()
    found = []
    for index in indices:
        sample = job.data.tokenized[split][index]
        ids = torch.tensor([sample.prompt_ids + sample.completion_ids])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0]
        found.append(logits[len(sample.prompt_ids) - 1 : -1].numpy())
    return found


def mean_kl(first: Logits, second: Logits) -> float:
    pairs = zip(first, second, strict=True)
    return float(np.mean([rel_entr(softmax(p, -1), softmax(q, -1)).sum(-1).mean() for p, q in pairs]))


def losses(logits: Logits, job, indices, split: str = "train") -> np.ndarray:
    targets = [job.data.tokenized[split][index].completion_ids for index in indices]
    return np.array(
        [-np.mean(log_softmax(each, -1)[range(len(ids)), ids]) for each, ids in zip(logits, targets, strict=True)]
    )


def checkpoint_model(job, folder, index: int) -> LlamaForCausalLM:
    """A checkpoint as a plain transformers model, read without this package."""
    model: LlamaForCausalLM = job.build(job.teacher).base
    (path,) = [p for p in folder.iterdir() if p.name == f"checkpoint-{index}.safetensors"]
    tensors = {
        name.removeprefix(
            "model.",
        ): tensor
        for name, tensor in load_file(path).items()
    }
    missing = model.load_state_dict(tensors, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"lm_head.weight"}
    return model


def test_scores_and_weights_are_the_ones_computed_by_hand(job, run_job):
    starts: list[dict] = []
    callbacks: list[Callable[[], Callback]] = [lambda: StageStarts(starts)]
    job.callbacks = callbacks
    made = run_job(job)
    probe = draw_probe(48, 20, job.seed)
    assert len(set(probe)) == 20

    trajectory = made["teacher"].result
    folder = made["teacher"].folder / "trajectory"
    teachers = [checkpoint_model(job, folder, point["step"]) for point in trajectory.trajectory]
    on_probe = [full_logits(teacher, job, probe) for teacher in teachers]
    best_kl = [mean_kl(on_probe[trajectory.best], each) for each in on_probe]
    student: LlamaForCausalLM = job.build(job.student).base
    schedule = made["student"].result.schedule
    assert len(starts) == len(schedule) == 3

    for start, stage in zip(starts, schedule, strict=True):
        student.load_state_dict(start)
        now = full_logits(student, job, probe)
        student_kl = [mean_kl(now, each) for each in on_probe]
        np.testing.assert_allclose(stage["best_kl"], best_kl, rtol=0, atol=1e-7)
        np.testing.assert_allclose(stage["student_kl"], student_kl, rtol=0, atol=1e-7)
        assert stage["checkpoint"] == int(np.argmin(np.add(best_kl, student_kl)))

    everything = range(48)
    anchor = np.load(made["anchor"].folder / "train_losses.npy")
    for stage in schedule:
        teacher = losses(full_logits(teachers[stage["checkpoint"]], job, everything), job, everything)
        weights = anchor / (anchor + teacher)
        assert stage["mean_weight"] == pytest.approx(np.mean(weights), abs=1e-6)
        assert stage["weights"] == np.histogram(weights, bins=20, range=(0, 1))[0].tolist()


def test_anchor_losses_are_its_best_weights_losses(make_job, run_job):
    job = make_job("phases=[teacher_sft,student_sft]", "trainer.precision=64-true")
    anchor = run_job(job)["anchor"]
    model: LlamaForCausalLM = job.build(job.student).base
    (path,) = (anchor.folder / "weights").glob("checkpoint-*.safetensors")
    model.load_state_dict({n.removeprefix("model."): t for n, t in load_file(path).items()}, strict=False)
    expected = losses(full_logits(model, job, range(48)), job, range(48))
    np.testing.assert_allclose(np.load(anchor.folder / "train_losses.npy"), expected, rtol=0, atol=1e-6)


def test_validation_losses_of_each_checkpoint_are_kept(make_job, run_job):
    job = make_job("phases=[teacher_sft]", "trainer.precision=64-true", "task.data.synthetic.validation=13")
    teacher = run_job(job)["teacher"]
    found, samples = np.load(teacher.folder / "validation_losses.npy"), range(13)
    assert found.shape == (3, 13)
    for row, point in zip(found, teacher.result.trajectory, strict=True):
        model = checkpoint_model(job, teacher.folder / "trajectory", point["step"])
        logits = full_logits(model, job, samples, "validation")
        np.testing.assert_allclose(row, losses(logits, job, samples, "validation"), rtol=0, atol=1e-6)
        assert row.mean() == pytest.approx(point["metrics"]["loss"], abs=1e-6)


def test_advantage_and_deficit_are_the_decomposition_on_the_validation_split(make_begun, run_job):
    now: list[np.ndarray] = []

    class Validated(Callback):
        def on_validation_epoch_end(self, trainer, pl_module) -> None:
            if type(pl_module).__name__ == "Distillation":
                logits = full_logits(copy.deepcopy(pl_module.lm.base), job, range(12), "validation")
                now.append(losses(logits, job, range(12), "validation"))

    job = make_begun("method=td_aw", "trainer.precision=64-true")
    job.callbacks = [Validated]
    made = run_job(job)
    best = np.load(made["teacher"].folder / "validation_losses.npy")[made["teacher"].result.best]
    curve = made["student"].result.curve
    assert len(now) == len(curve) == 2
    for student, point in zip(now, curve, strict=True):
        expected = decompose(student, best)
        assert point["advantage"] == pytest.approx(expected.advantage, abs=1e-6)
        assert point["deficit"] == pytest.approx(expected.deficit, abs=1e-6)
        gap = point["validation_loss"] - best.mean()
        assert point["deficit"] - point["advantage"] == pytest.approx(gap, abs=1e-6)


@pytest.mark.parametrize(("method", "expected"), [("td", [2, 2, 2]), ("cd", [0, 1, 2]), ("cd_aw", [0, 1, 2])])
def test_fixed_schedules(make_begun, run_job, method, expected):
    job = make_begun(f"method={method}", "budget.stages=3")
    made = run_job(job)
    schedule = made["student"].result.schedule
    best = made["teacher"].result.best
    assert [stage["checkpoint"] for stage in schedule] == ([best] * 3 if method == "td" else expected)
    assert all(stage["best_kl"] is None and stage["student_kl"] is None for stage in schedule)
    assert [stage["epochs"] for stage in schedule] == [[0, 0], [1, 1], [2, 2]]
    if method != "cd_aw":
        assert [stage["mean_weight"] for stage in schedule] == [0.5] * 3


def test_probe_set_is_drawn_by_the_seed_alone():
    assert draw_probe(1000, 20, 3) == draw_probe(1000, 20, 3) != draw_probe(1000, 20, 4)
    assert draw_probe(7, 20, 0) == list(range(7))
    assert max(draw_probe(1000, 256, 0)) < 1000
