"""A whole run's teacher loads and passes, what its signals take, and which runs share them."""

import gc
import json
import re
import shutil
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback
from torch import nn

from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.pipeline import signal_space
from scd_lightning.pipeline.distill import draw_probe, sample_set, signal_store
from scd_lightning.pipeline.method import Method
from scd_lightning.store.checkpoints import CheckpointStore

BEFORE = "teacher_sft,student_sft"
# Of the small jobs.
SAMPLES, PROBES, CHECKPOINTS, TEACHER_WIDTH = 48, 20, 3, 48


class Watcher(Callback):
    """Notes each training step of a distillation, and what of a teacher is in memory then, and was not before."""

    def __init__(self, events, alive):
        self.events, self.alive = events, alive

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if type(pl_module).__name__ == "Distillation":
            self.events.append("step")
            own = {id(pl_module.lm), *(id(parameter) for parameter in pl_module.parameters())}
            weights = [each for each in gc.get_objects() if type(each) in (CausalLM, nn.Parameter)]
            self.alive += [each for each in weights if id(each) not in own]


@pytest.fixture
def events(monkeypatch):
    """Loads of teacher weights and steps of the student, in their order."""
    found = []
    load_into = CheckpointStore.load_into

    def watched(self, module, index):
        if module.head.weight.shape[1] == TEACHER_WIDTH:
            found.append(index)
        return load_into(self, module, index)

    monkeypatch.setattr(CheckpointStore, "load_into", watched)
    return found


@pytest.fixture
def distilled(make_job, made_before, run_job, events):
    """Runs a job whose teacher and anchor are there; returns its artifact, costs and what was alive in its steps."""

    def run(*overrides, again=False):
        job = make_job(*overrides, "phases=[distill]")
        made_before(job.store.root, BEFORE, *overrides)
        alive: list[object] = []
        if again:
            shutil.rmtree(next(job.store.root.glob("student-*")))
        del events[:]
        job.callbacks = [lambda: Watcher(events, alive)]
        # What is there now, other tests' models among it, is not looked at: that would take longer than the run.
        gc.collect()
        gc.freeze()
        try:
            made = run_job(job)["student"]
        finally:
            gc.unfreeze()
        assert not made.reused
        return made, alive

    return run


def used(made):
    return {stage["checkpoint"] for stage in made.result.schedule}


STEPS = 2 * SAMPLES // 8


def test_a_scheduled_run_loads_each_checkpoint_for_the_probe_and_those_it_uses(distilled, events, capsys):
    made, alive = distilled("method=scd_aw")
    loads = CHECKPOINTS + len(used(made))
    assert made.costs["teacher_loads"] == loads
    assert made.costs["teacher_forward_samples"] == CHECKPOINTS * PROBES + len(used(made)) * SAMPLES
    assert sorted(events[:CHECKPOINTS]) == list(range(CHECKPOINTS))
    assert len([event for event in events if event != "step"]) == loads
    assert events.count("step") == STEPS
    # Within a stage the student trains on without a load, and without a teacher beside it.
    for stage in "".join("s" if event == "step" else "l" for event in events).replace("l", " ").split():
        assert len(stage) % (SAMPLES // 8) == 0
    assert alive == []
    size = made.costs["teacher_load_bytes"]
    assert size % loads == 0
    assert size // loads > 4 * 2 * TEACHER_WIDTH * 400
    assert made.costs["teacher_load_seconds"] > 0
    assert re.search(rf"distill: .*, {loads} teacher loads at \d+\.\d GB/s\)", capsys.readouterr().out)


def test_a_run_that_finds_its_signals_loads_nothing(distilled, events):
    first, _ = distilled("method=scd_aw")
    second, alive = distilled("method=scd_aw", again=True)
    assert events == ["step"] * STEPS
    for name in ("loads", "load_bytes", "load_seconds", "forward_samples"):
        assert second.costs[f"teacher_{name}"] == 0
    assert alive == []
    assert second.result == first.result


def test_methods_share_signals(distilled, events):
    made, _ = distilled("method=cd", "budget.stages=3")
    assert used(made) == set(range(CHECKPOINTS))
    assert made.costs["teacher_loads"] == CHECKPOINTS
    other, _ = distilled("method=cd_aw", "budget.stages=3")
    assert other.costs["teacher_loads"] == other.costs["teacher_forward_samples"] == 0


def test_a_live_run_loads_at_every_stage(distilled):
    made, alive = distilled("method=td", "method.teacher=live")
    assert made.costs["teacher_loads"] == 2
    assert made.costs["teacher_load_bytes"] > 0
    assert made.costs["teacher_forward_samples"] == 2 * SAMPLES
    assert any(isinstance(each, CausalLM) for each in alive)


# Room on the disk


@pytest.fixture
def asked(monkeypatch):
    """Bytes that the disk was asked for."""
    found = []
    monkeypatch.setattr(signal_space, "check_free_space", lambda root, needed, *_: found.append(needed))
    return found


def on_the_disk(job):
    root = job.store.root / "signals"
    heads = sum(path.stat().st_size for path in root.glob("head-*"))
    arrays = sum(path.stat().st_size for path in root.glob("*/*.npy"))
    return arrays, heads


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
@pytest.mark.parametrize(("method", "heads"), [("td", 1), ("cd", 2), ("scd", 3)])
def test_the_estimate_is_what_the_signals_take_at_most(
    make_job, made_before, run_job, asked, capsys, method, heads, dtype
):
    overrides = (f"method={method}", f"method.signals_dtype={dtype}")
    job = make_job(*overrides, "phases=[distill]")
    made_before(job.store.root, BEFORE, f"method={method}")
    made = run_job(job)["student"]
    arrays, stored_heads = on_the_disk(job)
    [needed] = asked
    one = 4 * TEACHER_WIDTH * len(job.tokenizer)
    assert abs(stored_heads - heads * one) < 500 * heads
    unused = min(2, CHECKPOINTS if method == "scd" else heads) - len(used(made))
    training = [path.parent for path in (job.store.root / "signals").glob("*/losses.npy")]
    [one_set] = {
        sum(path.stat().st_size for path in folder.glob("*.npy"))
        for folder in training
        if json.loads((folder / "manifest.json").read_text())["samples"] == "training signals"
    }
    assert needed == arrays + heads * one + unused * one_set
    assert "the teacher's signals will take up to" in capsys.readouterr().out
    shutil.rmtree(next(job.store.root.glob("student-*")))
    run_job(make_job(*overrides, "phases=[distill]"))
    # Of a scheduled run it is not known that it will choose as before.
    assert asked[1] == (min(2, CHECKPOINTS - len(used(made))) * one_set if method == "scd" else 0)


@pytest.mark.parametrize(("source", "checkpoints"), [("stage", 2), ("best", 3)])
def test_the_best_checkpoint_s_signals_count_where_it_answers_for_texts_in_every_stage(
    make_job, run_job, asked, source, checkpoints
):
    # A teacher that gets worse: its best checkpoint is the first one, which teaches in no stage.
    texts = ("+teacher.optimizer.maximize=true", "task.data.synthetic.unlabelled=8", f"unlabelled.from={source}")
    job = make_job("method=cd", "task=classification", *texts, "phases=[teacher_sft,answer,distill]")
    made = run_job(job)
    assert (made["teacher"].result.best, used(made["student"])) == (0, {1, 2})
    arrays, _ = on_the_disk(job)
    assert len(list((job.store.root / "signals").glob("*/losses.npy"))) == checkpoints
    assert asked == [arrays + checkpoints * 4 * TEACHER_WIDTH * len(job.tokenizer)]


def test_a_frozen_head_counts_once(make_job, run_job, asked):
    job = make_job("method=scd", "teacher.lora.r=2", "phases=[teacher_sft,distill]")
    run_job(job)
    assert len(list((job.store.root / "signals").glob("head-*"))) == 1
    arrays, _ = on_the_disk(job)
    assert 0 <= asked[0] - arrays - 4 * TEACHER_WIDTH * len(job.tokenizer) < arrays


def test_a_full_disk_is_told_before_a_teacher_is_built(make_job, made_before, run_job, monkeypatch):
    job = make_job("method=scd", "phases=[distill]")
    made_before(job.store.root, BEFORE, "method=scd")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    monkeypatch.setattr(job, "build", lambda spec: pytest.fail("a model was built"))
    with pytest.raises(StoreError) as error:
        run_job(job)
    message = str(error.value)
    assert message.startswith("The disk has no room for the teacher's signals. Where: ")
    assert "Got: 0.0 GB free. Expected: 0.0 GB." in message
    for remedy in ("paths.store", "method.signals_dtype=bfloat16", "method.teacher=live", "scd_lightning.store gc"):
        assert remedy in message


def test_live_weights_need_no_room(make_job, made_before, run_job, asked):
    job = make_job("method=td", "method.teacher=live", "phases=[distill]")
    made_before(job.store.root, BEFORE, "method=td")
    run_job(job)
    assert asked == []
    assert not (job.store.root / "signals").exists()


# What signals belong to


@pytest.fixture(scope="module")
def folder(make_job_in, tmp_path_factory):
    """Name of the folder of a checkpoint's training signals, and of its probe signals."""
    make = make_job_in(tmp_path_factory.mktemp("signals"))

    def of(*overrides, checkpoint="digest"):
        job = make(*overrides)
        signals = signal_store(job, str(job.trainer().precision_plugin.precision))
        probe = draw_probe(SAMPLES, job.budget.probe_samples, job.seed)
        return tuple(
            signals.folder(checkpoint, sample_set(job, "signals", each)).name
            for each in (range(len(job.data.samples["train"])), probe)
        )

    return of


@pytest.mark.parametrize(
    "overrides",
    [
        ["task.data.synthetic.seed=1"],
        ["task.data.synthetic.label_noise=0.5"],
        ["teacher.vocab_size=390", "student.vocab_size=390"],
        ["task.max_length=60"],
        ["task.template='{text}: {labels}\n'"],
        ["task.evaluation_batch=4"],
        ["method.signals_dtype=bfloat16"],
        ["method.signals_dtype=float32"],
        ["trainer.precision=bf16-mixed"],
        ["teacher.attention=eager"],
        ["teacher.lora.r=2"],
        ["teacher.dtype=bfloat16"],
    ],
    ids=lambda overrides: overrides[0].replace("\n", ""),
)
def test_what_changes_an_answer_never_meets_old_signals(folder, overrides):
    assert not set(folder(*overrides)) & set(folder())


def test_another_checkpoint_has_other_signals(folder):
    assert not set(folder(checkpoint="another")) & set(folder())


@pytest.mark.parametrize(
    "override",
    ["method=td", "budget.stages=5", "student.optimizer.lr=0.1", "trainer.micro_batches=2", "objective=reverse_kl"],
)
def test_what_is_the_students_own_matter_changes_no_signals(folder, override):
    assert folder(override) == folder()


def test_another_seed_changes_the_probe_set_alone(folder):
    (training, probe), (other_training, other_probe) = folder(), folder("seed=1", "task.data.synthetic.seed=0")
    assert training == other_training
    assert probe != other_probe


def test_a_dtype_of_signals_that_there_is_not():
    with pytest.raises(ConfigError) as error:
        Method("td", None, None, signals_dtype="float16")  # type: ignore[arg-type]
    assert str(error.value) == (
        "Signals can't be stored in this dtype. Where: method.signals_dtype. Got: float16. "
        "Expected: auto, float32 or bfloat16."
    )


@pytest.mark.parametrize(("precision", "equal"), [("32-true", False), ("bf16-mixed", True)])
def test_bfloat16_signals_change_what_bfloat16_arithmetic_does_not_round_anyway(make_job, run_job, precision, equal):
    weights = []
    for dtype in ("auto", "bfloat16"):
        stages = "phases=[teacher_sft,student_sft,distill]"
        job = make_job("method=scd", f"method.signals_dtype={dtype}", f"trainer.precision={precision}", stages)
        model = job.build(job.student)
        CheckpointStore(run_job(job)["student"].folder / "weights").load_into(model, 0)
        weights.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
    assert torch.equal(*weights) == equal
    assert (weights[0] - weights[1]).norm() < 0.02 * weights[0].norm()
