"""The scheduler against a teacher source made by hand; tests/pipeline/test_schedule.py has the real ones."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import Tensor

from scd_lightning.batch import Batch
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.schedules.policies import FixedOrder, ScheduledCheckpoint, ScheduledForward, Scores, SingleBest
from scd_lightning.teachers.source import TeacherCounts, TeacherSource
from scd_lightning.training.callbacks import teacher_scheduler
from scd_lightning.training.callbacks.teacher_scheduler import StageChoice, TeacherScheduler


class TableSource(TeacherSource):
    """Answers with fixed hidden states [K, D] for each checkpoint, and notes what it is told."""

    def __init__(self, states: Sequence[Tensor], heads: Sequence[Tensor]) -> None:
        self.states, self.heads = states, heads
        self.calls: list[int | str] = []
        self.counts = TeacherCounts()

    @property
    def num_checkpoints(self) -> int:
        return len(self.states)

    def load(self, checkpoint: int) -> None:
        self.calls.append(checkpoint)
        self.current = checkpoint

    def release(self) -> None:
        self.calls.append("release")

    def hidden(self, batch: Batch) -> Tensor:
        return self.states[self.current]

    @property
    def head(self) -> LMHead:
        return LMHead(self.heads[self.current])

    def losses(self, batch: Batch, outputs: Unprojected) -> Tensor:
        raise NotImplementedError

    def digest(self, checkpoint: int) -> str:
        return str(checkpoint)


@pytest.fixture
def module(make_module):
    return make_module()


@pytest.fixture
def probe(module) -> Batch:
    return next(iter(module.job.data.evaluation_loader("train", indices=[3, 5, 8, 13])))


@pytest.fixture
def sources(probe, module) -> tuple[TableSource, TableSource]:
    """The training and the probe source, three checkpoints, of a width unlike the student's."""
    generator = torch.Generator().manual_seed(7)
    vocabulary = module.lm.vocab_size
    states = [torch.randn(len(probe.targets), 5, generator=generator) for _ in range(3)]
    heads = [torch.randn(vocabulary, 5, generator=generator) for _ in range(3)]
    return TableSource(states, heads), TableSource(states, heads)


def make_scheduler(policy, sources, probe, best=1) -> TeacherScheduler:
    return TeacherScheduler(policy, sources[0], best, 2, sources[1], lambda: [probe])


def mean_kl(p_logits: Tensor, q_logits: Tensor, probe: Batch) -> float:
    p, q = (softmax(logits.detach().double().numpy(), axis=-1) for logits in (p_logits, q_logits))
    tokens, rows = rel_entr(p, q).sum(-1), probe.rows.numpy()
    return float(np.mean([tokens[rows == row].mean() for row in range(probe.size)]))


@pytest.mark.parametrize(
    ("policy", "expected"), [(SingleBest(), [1, 1, 1]), (FixedOrder(3), [0, 1, 2]), (FixedOrder(4), [0, 1, 2])]
)
def test_policies_without_scores(policy, expected, module, trainer, sources, probe):
    scheduler = make_scheduler(policy, sources, probe)
    for trainer.current_epoch in range(6):
        scheduler.on_train_epoch_start(trainer, module)
    assert [choice.checkpoint for choice in scheduler.choices] == expected
    assert [choice.epochs for choice in scheduler.choices] == [(0, 1), (2, 3), (4, 5)]
    assert all(choice.best_kl is None and choice.student_kl is None for choice in scheduler.choices)
    assert [call for call in sources[0].calls if call != "release"] == expected
    assert set(sources[1].calls) == {"release"}


def test_scores_are_the_ones_computed_by_hand(module, trainer, sources, probe):
    scheduler = make_scheduler(ScheduledCheckpoint(), sources, probe)
    logits = [state @ head.T for state, head in zip(sources[0].states, sources[0].heads, strict=True)]
    for stage in range(2):
        with torch.no_grad():
            next(module.lm.parameters()).mul_(1 + stage)
        module.lm.eval()
        student_kl = [mean_kl(module.lm.logits(probe), each, probe) for each in logits]
        trainer.current_epoch = 2 * stage
        scheduler.on_train_epoch_start(trainer, module)
        choice = scheduler.choices[stage]
        assert choice.student_kl == pytest.approx(student_kl, rel=1e-5)
        assert choice.best_kl == pytest.approx([mean_kl(logits[1], each, probe) for each in logits], rel=1e-5, abs=1e-6)
        assert choice.best_kl is not None
        assert choice.student_kl is not None
        assert choice.checkpoint == np.argmin(np.add(choice.best_kl, choice.student_kl))
    assert scheduler.choices[0].student_kl != scheduler.choices[1].student_kl


class Staying:
    """Asks for scores, and has the youngest checkpoint teach whatever they are."""

    needs_scores = True

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        return 0


@pytest.fixture
def leaving(module, probe) -> list[Unprojected]:
    """A teacher whose checkpoints lead away from the student, who is at the first one."""
    module.lm.eval()
    with torch.no_grad():
        hidden, head = module.lm.hidden(probe), module.lm.head.detach()
    away = 3 * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(3))
    return [Unprojected(hidden + share * away, head) for share in (0.05, 0.5, 1.0)]


def test_a_schedule_that_stalls_is_told_once(module, trainer, leaving, probe, capsys):
    def make() -> TeacherScheduler:
        tables = [each.hidden for each in leaving], [each.head.weight for each in leaving]
        return make_scheduler(Staying(), (TableSource(*tables), TableSource(*tables)), probe, best=2)

    scheduler, said = make(), []
    for trainer.current_epoch in range(6):
        scheduler.on_train_epoch_start(trainer, module)
        said.append([line.strip() for line in capsys.readouterr().out.splitlines()])
    assert [len(lines) for lines in said] == [1, 0, 2, 0, 1, 0]
    assert said[2][0] == "stage 1: taught by checkpoint 0 of 0 to 2"
    told = re.fullmatch(
        r"The schedule stalls in stage 1: checkpoint 0 teaches again, though the student's KL to it is (\S+), "
        r"and (\S+) to the best one, 2\. What helps: method=scheduled_forward, or .*",
        said[2][1],
    )
    assert told is not None
    near, far = (mean_kl(module.lm.logits(probe), leaving[i].logits(), probe) for i in (0, 2))
    assert near < far / 10
    assert [float(each) for each in told.groups()] == pytest.approx([near, far], rel=0.01)

    # Who goes on after that stage has been told.
    state, again = scheduler.state_dict(), make()
    again.load_state_dict(state | {"choices": state["choices"][:2]})
    for trainer.current_epoch in (3, 4):
        again.on_train_epoch_start(trainer, module)
    assert again.choices == scheduler.choices
    assert "stalls" not in capsys.readouterr().out


def test_a_schedule_that_can_only_stay_is_told_once(module, trainer, leaving, probe, capsys):
    tables = [each.hidden for each in leaving], [each.head.weight for each in leaving]
    source = TableSource(*tables), TableSource(*tables)
    scheduler = make_scheduler(ScheduledForward(3), source, probe, best=1)
    for trainer.current_epoch in range(6):
        scheduler.on_train_epoch_start(trainer, module)
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert said[0].startswith("Only 2 of the 3 checkpoints are there up to the best one, 1, for 3 stages")
    assert said[1:] == [f"stage {stage}: taught by checkpoint 1 of 0 to 2" for stage in range(3)]


def test_a_schedule_that_moves_on_stalls_nowhere(module, trainer, leaving, probe, capsys):
    tables = [each.hidden for each in leaving], [each.head.weight for each in leaving]
    scheduler = make_scheduler(ScheduledForward(3), (TableSource(*tables), TableSource(*tables)), probe, best=2)
    for trainer.current_epoch in range(6):
        scheduler.on_train_epoch_start(trainer, module)
    assert [choice.checkpoint for choice in scheduler.choices] == [0, 1, 2]
    assert "stalls" not in capsys.readouterr().out


def test_best_kl_is_measured_once(module, trainer, sources, probe, monkeypatch):
    measured = []
    original = teacher_scheduler.kl_to_checkpoints

    def count(references, *rest):
        measured.append(len(references))
        return original(references, *rest)

    monkeypatch.setattr(teacher_scheduler, "kl_to_checkpoints", count)
    scheduler = make_scheduler(ScheduledCheckpoint(), sources, probe)
    for trainer.current_epoch in range(6):
        scheduler.on_train_epoch_start(trainer, module)
    assert measured == [2, 1, 1]
    # The best checkpoint first, then one sweep a stage; the training source loads what was chosen and no more.
    assert [call for call in sources[1].calls if call != "release"] == [1, 0, 1, 2, 0, 1, 2, 0, 1, 2]
    assert sources[0].calls == [call for c in scheduler.choices for call in (c.checkpoint, "release")]


@pytest.mark.parametrize("training", [True, False])
def test_student_is_probed_in_eval_mode_and_given_back(module, trainer, sources, probe, training, monkeypatch):
    modes = []
    forward = type(module.lm).hidden

    def hidden(self, batch):
        modes.append((self.training, torch.is_grad_enabled()))
        return forward(self, batch)

    monkeypatch.setattr(type(module.lm), "hidden", hidden)
    module.lm.train(training)
    make_scheduler(ScheduledCheckpoint(), sources, probe).on_train_epoch_start(trainer, module)
    assert modes == [(False, False)]
    assert module.lm.training is training
    assert all(part.training is training for part in module.lm.modules())


def test_restored_scheduler_goes_on_as_the_first_would_have(module, trainer, sources, probe):
    first = make_scheduler(ScheduledCheckpoint(), sources, probe)
    for trainer.current_epoch in (0, 2):
        first.on_train_epoch_start(trainer, module)
    state = first.state_dict()

    again = make_scheduler(ScheduledCheckpoint(), sources, probe)
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert again.choices == first.choices
    assert all(isinstance(choice, StageChoice) for choice in again.choices)
    # In the middle of stage 1 only the weights have to be had again: nothing is measured or chosen anew.
    calls = len(sources[1].calls)
    trainer.current_epoch = 3
    again.on_train_epoch_start(trainer, module)
    assert sources[0].calls[-2:] == [first.choices[1].checkpoint, "release"]
    assert sources[1].calls[calls:] == ["release"]

    for scheduler in (first, again):
        trainer.current_epoch = 4
        scheduler.on_train_epoch_start(trainer, module)
    assert again.choices == first.choices


def test_state_survives_a_weights_only_checkpoint(module, trainer, sources, probe, tmp_path):
    scheduler = make_scheduler(ScheduledCheckpoint(), sources, probe)
    scheduler.on_train_epoch_start(trainer, module)
    torch.save({scheduler.state_key: scheduler.state_dict()}, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    assert loaded[scheduler.state_key] == scheduler.state_dict()
