"""Signals stay this package's while Lightning works."""

import os
import signal

import pytest
from lightning import Callback, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from scd_lightning.errors import Preempted
from scd_lightning.launch import preemption
from scd_lightning.training.trainer import TrainerFactory

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*")
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Looks(Callback):
    """Notes the handlers, and may send a signal in the middle."""

    def __init__(self, sends: signal.Signals | None = None) -> None:
        self.seen: list[list[object]] = []
        self.sends = sends

    def on_train_batch_start(self, *_: object) -> None:
        self.seen.append([signal.getsignal(number) for number in SIGNALS])
        if self.sends is not None:
            os.kill(os.getpid(), self.sends)


def trainer(*callbacks: Callback) -> Trainer:
    make = TrainerFactory(accelerator="cpu")
    return make(callbacks=callbacks, limit_train_batches=2, limit_val_batches=0)


def test_this_lightning_has_what_is_replaced():
    plain = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    assert callable(plain._signal_connector.register_signal_handlers)
    assert callable(plain.fit_loop.epoch_loop._broadcast_sigterm_tensor)


@pytest.mark.parametrize("slurm", [False, True])
def test_handlers_stay(monkeypatch, slurm):
    if slurm:  # As `srun python run.py` has it.
        for name, value in {"NTASKS": "1", "JOB_NAME": "x", "JOB_ID": "1", "PROCID": "0", "LOCALID": "0"}.items():
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.setenv("SLURM_NODEID", "0")
    looks = Looks()
    with preemption.watch(["SIGTERM", "SIGUSR1"]):
        ours = [signal.getsignal(number) for number in SIGNALS]
        trainer(looks).fit(BoringModel())
        assert [signal.getsignal(number) for number in SIGNALS] == ours
    assert looks.seen == [ours, ours]


def test_a_signal_ends_a_training():
    looks = Looks(sends=signal.SIGTERM)
    trains = trainer(looks)

    def run() -> None:
        with preemption.watch(["SIGTERM"]):
            trains.fit(BoringModel())

    with pytest.raises(Preempted, match="SIGTERM"):
        run()
    assert len(looks.seen) == 1


def test_no_process_is_asked_about_signals(monkeypatch):
    asked = []
    monkeypatch.setattr("torch.distributed.broadcast", lambda *_, **__: asked.append(True))
    trainer().fit_loop.epoch_loop._broadcast_sigterm_tensor()
    assert not asked
