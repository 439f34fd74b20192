"""What trainers are made of: options that hold everywhere, or are refused before anything is trained."""

import logging
import subprocess
import sys
from functools import partial

import pytest
import torch
from lightning import Callback
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.plugins import DoublePrecision
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.io import AsyncCheckpointIO
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy

from scd_lightning.cli.quiet import quiet
from scd_lightning.errors import ConfigError
from scd_lightning.training.strategies import ShardedStrategy
from scd_lightning.training.trainer import TrainerFactory

cpu = partial(TrainerFactory, accelerator="cpu")


@pytest.mark.parametrize("plugin", [DoublePrecision(), LightningEnvironment()])
def test_plugins_that_compute_or_start_processes_are_refused(plugin):
    for given in (plugin, [AsyncCheckpointIO(), plugin]):
        with pytest.raises(ConfigError, match=rf"trainer\.plugins\. Got: {type(plugin).__name__}\."):
            cpu(plugins=given).check_options()


def test_what_a_cluster_has_set_and_lightning_refuses_is_told(monkeypatch):
    """As in a job of several tasks that starts run.py without srun."""
    for name, value in {"SLURM_JOB_ID": "5", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    with pytest.raises(ConfigError, match="ntasks-per-node"):
        cpu().check_options()


def test_plugins_that_write_files_are_taken():
    plugin = AsyncCheckpointIO()
    factory = cpu(plugins=[plugin])
    factory.check_options()
    assert factory().strategy.checkpoint_io is plugin


@pytest.mark.parametrize("strategy", [DeepSpeedStrategy, FSDPStrategy, BoringModel])
def test_strategies_that_cut_models_in_other_ways_are_refused(strategy):
    with pytest.raises(ConfigError, match=r"trainer\.strategy.*trainer=ddp or trainer=fsdp"):
        cpu(strategy=partial(strategy)).check_options()


def test_strategies_of_ddp_are_taken():
    cpu(strategy=partial(DDPStrategy, process_group_backend="gloo"), devices=2).check_options()


def test_sharded_models_know_no_inference_mode():
    sharded = partial(cpu, strategy=partial(ShardedStrategy), devices=2, precision="32-true")
    sharded(inference_mode=False).check_options()
    with pytest.raises(ConfigError, match=r"trainer\.inference_mode"):
        sharded(inference_mode=True).check_options()


@pytest.mark.parametrize("value", [True, "warn"])
def test_determinism_is_of_the_job_that_asks_for_it(value):
    cpu(deterministic=value)()
    assert torch.are_deterministic_algorithms_enabled()
    cpu()()
    assert not torch.are_deterministic_algorithms_enabled()
    cpu(benchmark=True)()
    assert torch.backends.cudnn.benchmark
    cpu()()
    assert not torch.backends.cudnn.benchmark


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*")
def test_a_profile_is_told_though_lightning_is_quiet(caplog):
    quiet()
    with caplog.at_level(logging.INFO):
        quiet()
        cpu(profiler="simple")(limit_train_batches=1, limit_val_batches=0).fit(BoringModel())
    assert "FIT Profiler Report" in caplog.text
    assert "optimizer_step" in caplog.text


# 48 samples in batches of 8: six steps in each of two epochs.
@pytest.mark.parametrize(
    ("options", "got"),
    [
        (["+trainer.val_check_interval=7"], "7, of 6 batches"),
        (["+trainer.val_check_interval=19", "trainer.micro_batches=3"], "19, of 18 batches"),
        (["+trainer.val_check_interval=13", "+trainer.check_val_every_n_epoch=null"], "13, of 12 batches"),
        (["+trainer.check_val_every_n_epoch=3"], "3, of 2 epochs"),
    ],
)
def test_a_training_that_would_not_be_validated_is_refused(make_job, options, got):
    with pytest.raises(ConfigError, match=rf"Where: trainer\.\w+\. Got: {got}\. Expected: 1 to \d+"):
        make_job(*options)


@pytest.mark.parametrize(
    "options",
    [
        ["+trainer.val_check_interval=6", "+trainer.check_val_every_n_epoch=2"],
        ["+trainer.val_check_interval=18", "trainer.micro_batches=3"],
        ["+trainer.val_check_interval=12", "+trainer.check_val_every_n_epoch=null"],
    ],
)
def test_a_training_that_is_validated_once_is_not(make_job, options):
    make_job(*options)


class Validations(Callback):
    """Writes down each validation of a training: its epoch, metric and loss."""

    def __init__(self) -> None:
        self.found: list[tuple[int, float, float]] = []

    def on_validation_end(self, trainer, pl_module):
        if trainer.state.fn == "fit":
            logged = trainer.callback_metrics
            metric, loss = (float(logged[f"validation_{name}"]) for name in ("metric", "loss"))
            self.found.append((trainer.current_epoch, metric, loss))


@pytest.mark.parametrize(
    ("options", "validated"),
    [
        (["+trainer.check_val_every_n_epoch=2"], [1, 3]),
        (["+trainer.val_check_interval=2"], [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]),
        (["+trainer.val_check_interval=9", "+trainer.check_val_every_n_epoch=null"], [1, 2]),
    ],
)
def test_the_curve_has_the_best_validation_of_each_epoch_and_none_of_others(make_job, run_job, options, validated):
    watch = Validations()
    job = make_job("method=td", "budget.stage_epochs=2", *options)
    job.callbacks = [lambda: watch]
    made = run_job(job)
    assert [epoch for epoch, *_ in watch.found] == [*validated, *validated]
    halves = watch.found[: len(validated)], watch.found[len(validated) :]
    for model, found in zip(("anchor", "student"), halves, strict=True):
        result = made[model].result
        for point in result.curve:
            own = [(metric, -loss) for epoch, metric, loss in found if epoch == point["epoch"]]
            best = max(own, default=None)
            expected = (None, None) if best is None else pytest.approx((best[0], -best[1]))
            assert (point["validation_metric"], point["validation_loss"]) == expected
            if model == "student" and best is None:
                assert point.get("advantage") is point.get("deficit") is None
        ranked = [point["validation_metric"] for point in result.curve if point["validation_metric"] is not None]
        # What runs are ranked by is what the weights were chosen by.
        assert result.validation_metric == pytest.approx(max(ranked))


def test_what_is_shown_and_how_one_looks_change_no_bit(make_job, run_job):
    run = ("method=sft", "phases=[student_sft]")
    shown = ("trainer.log_every_n_steps=1", "+trainer.profiler=simple", "+trainer.detect_anomaly=true")
    asked = ("+trainer.num_sanity_val_steps=0", "+trainer.enable_progress_bar=false", "+trainer.inference_mode=false")
    kept = []
    for name, options in {"plain": (), "other": (*shown, *asked)}.items():
        made = run_job(make_job(*run, *options, store=name))["anchor"]
        weights = {path.name: path.read_bytes() for path in made.folder.rglob("*.safetensors")}
        kept.append((vars(made.result), weights))
    assert kept[0] == kept[1]


def test_lightning_starts_no_process(monkeypatch):
    """It would run the command a second time; a job's own parent starts its processes, or the user's torchrun."""
    for strategy in ("auto", partial(DDPStrategy, process_group_backend="gloo")):
        factory = TrainerFactory(devices=2, accelerator="cpu", strategy=strategy)
        with pytest.raises(RuntimeError, match="a process on its own"):
            factory()
    with pytest.raises(RuntimeError, match="a process on its own"):
        TrainerFactory(num_nodes=2, accelerator="cpu")()


@pytest.mark.parametrize(("here", "everywhere"), [(1, 2), (2, 4), (4, 4), (1, 1)])
def test_another_number_of_processes_than_torchrun_s_is_refused(monkeypatch, here, everywhere):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    monkeypatch.setenv("WORLD_SIZE", str(everywhere))
    with pytest.raises(ConfigError, match=rf"trainer\.devices.*{here} processes on this machine, of {everywhere}"):
        TrainerFactory(devices=2, accelerator="cpu").check_devices(launched=True)
    TrainerFactory(devices=here, num_nodes=everywhere // here, accelerator="cpu").check_devices(launched=True)


ALONE = """
import psutil
from functools import partial
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.strategies import DDPStrategy
from scd_lightning.training.trainer import TrainerFactory
for strategy in ("ddp", partial(DDPStrategy, process_group_backend="gloo")):
    TrainerFactory(strategy=strategy, accelerator="cpu")(callbacks=[], limit_train_batches=1).fit(BoringModel())
print(*[each.laddr.ip for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN])
"""


def test_a_process_alone_listens_on_loopback_at_most(tmp_path):
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) <= {"127.0.0.1"}


@pytest.mark.parametrize("minutes", [0, -1, "30", True, None, float("nan"), 10**9])
def test_a_wait_without_sense_is_refused(minutes):
    with pytest.raises(ConfigError, match=r"trainer\.wait_minutes"):
        TrainerFactory(wait_minutes=minutes)
