import json
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback

from scd_lightning.config.batch_size import SampleCount
from scd_lightning.store.making import claim
from scd_lightning.store.saved_state import RESUME, STATE, ResumeState
from scd_lightning.training.resume import save_state
from scd_lightning.training.resume.save_state import SaveState

# Two epochs of six steps.
TOTAL = 12


class Recorded(ResumeState):
    """Notes the steps that were saved; a save may take time, or fail."""

    def __init__(self, folder, clock=None, cost=0.0, failing=()) -> None:
        super().__init__(folder)
        self.steps: list[int] = []
        self.clock, self.cost, self.failing = clock or SimpleNamespace(now=0.0), cost, failing

    def begin(self, step):
        if step in self.failing:
            raise OSError("No space left on device")
        return super().begin(step)

    def commit(self, path, about) -> None:
        super().commit(path, about)
        self.clock.now += self.cost
        self.steps.append(about["step"])


class Clock(Callback):
    """Time that goes on by the step."""

    def __init__(self, clock, seconds) -> None:
        self.clock, self.seconds = clock, seconds

    def on_train_batch_start(self, *_) -> None:
        self.clock.now += self.seconds


def train(module, callback, *others, epochs=2):
    trainer = module.job.trainer(max_epochs=epochs, callbacks=[*others, callback])
    trainer.fit(module, datamodule=module.job.data_module(SampleCount(8)))


def make(state, **settings) -> SaveState:
    return SaveState(state, **{"every_steps": None, "every_seconds": None, "total_steps": TOTAL} | settings)


@pytest.mark.parametrize(("every", "expected"), [(1, [*range(1, 13)]), (4, [4, 8, 12]), (5, [5, 10]), (6, [6, 12])])
def test_saves_by_steps(make_module, tmp_path, every, expected):
    claim(tmp_path, {}, "here")  # Earlier states go in a folder of ours alone.
    state = Recorded(tmp_path)
    # An epoch's last step is saved once the epoch is validated.
    train(make_module(), make(state, every_steps=every))
    assert state.steps == (expected if every < 6 else [6, 12])
    assert json.loads((tmp_path / RESUME / STATE).read_text())["step"] == expected[-1]
    assert len(list((tmp_path / RESUME).glob("step-*"))) == 1


@pytest.mark.parametrize(
    ("every_seconds", "cost", "expected"),
    [
        # By time, and at the ends of epochs, which cost nothing.
        (30, 0.0, [3, 6, 9, 12]),
        (1000, 0.0, [6, 12]),
        # A second each: once a minute at the most, at the ends of epochs too.
        (30, 1.0, [3, 9]),
        (None, 0.0, []),
    ],
)
def test_saves_by_time_but_never_for_long(make_module, tmp_path, monkeypatch, every_seconds, cost, expected):
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(save_state, "time", clock)
    state = Recorded(tmp_path, clock, cost)
    train(make_module(), make(state, every_seconds=every_seconds), Clock(clock, 10.0))
    assert state.steps == expected


def test_a_full_disk_ends_no_training(make_module, tmp_path, capsys):
    state = Recorded(tmp_path, failing=(3, 4))
    module = make_module()
    train(module, make(state, every_steps=1), epochs=1)
    assert state.steps == [1, 2, 5, 6]
    assert len(module.weights) == 6
    assert capsys.readouterr().out.count("No space left on device") == 2


def test_a_write_that_fails_leaves_the_state_before(make_module, tmp_path, monkeypatch, capsys):
    claim(tmp_path, {}, "here")
    saved = torch.save
    calls = []

    def fail(checkpoint, path) -> None:
        calls.append(path)
        if len(calls) > 2:
            raise RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")
        saved(checkpoint, path)

    monkeypatch.setattr(torch, "save", fail)
    state = Recorded(tmp_path)
    train(make_module(), make(state, every_steps=1), epochs=1)
    assert state.steps == [1, 2]
    found = state.find()
    assert found is not None
    assert found.about["step"] == 2
    assert "file write failed" in capsys.readouterr().out
    assert list((tmp_path / RESUME).glob("step-*")) == [found.path.parent]


def test_frozen_weights_are_left_out(make_module, tmp_path):
    module = make_module("student.lora.r=2")
    state = Recorded(tmp_path)
    train(module, make(state, every_steps=6), epochs=1)
    found = state.find()
    assert found is not None
    content = torch.load(found.path, weights_only=True)
    trained = {name for name, value in module.named_parameters() if value.requires_grad}
    assert set(content["state_dict"]) == trained
    assert len(trained) < len(dict(module.named_parameters()))
