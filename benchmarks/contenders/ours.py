"""Our own steps by the real modules, teacher sources and trainer: fine-tuning; distilling cached, live and on texts."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader

from benchmarks import workload
from benchmarks.contenders.arguments import parse
from benchmarks.contenders.gate import Gate
from benchmarks.jobs import trainer_factory
from benchmarks.tokens import token_data
from scd_lightning.batch import Slot
from scd_lightning.data.loaders import SlotLoader
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.objective import Objective
from scd_lightning.losses.weighting import ConstantWeight
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.spec import StudentSpec
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signals import SampleSet, SignalStore
from scd_lightning.teachers.source import TeacherSource
from scd_lightning.training.data_module import DomainDataModule, EncodedData
from scd_lightning.training.distillation import Distillation, TextLoss
from scd_lightning.training.fine_tuning import FineTuning


class InOrder(DomainDataModule):
    """Batches of the samples as they come, again and again, as all contenders take them.

    Args:
        case: The workload.
        data: Its samples.
    """

    def __init__(self, case: workload.Case, data: EncodedData) -> None:
        super().__init__(data)
        self.case = case

    def train_dataloader(self) -> DataLoader[Any]:
        """One batch for each step."""
        size, count = self.case.batch, self.case.samples
        firsts = [step * size % count for step in range(self.case.steps)]
        slots = [[Slot(first + i, 1.0, size, self.case.completion_tokens) for i in range(size)] for first in firsts]
        return SlotLoader(self.data.tokenized["train"], slots, self.data.pad_id)


class AtTheGate(Callback):
    """Waits between two steps; the next batch is fetched within the next step.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.gate = Gate(device)

    def on_train_start(self, *args: Any) -> None:
        """All is loaded."""
        self.gate.ready()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A step is done."""
        self.gate.done(outputs["loss"])


def main(arguments: argparse.Namespace) -> None:
    """Trains step by step at the referee's orders."""
    case, ids = workload.read(arguments.folder)
    data = token_data(ids.tolist(), case.prompt, evaluation_batch=case.batch)
    trainer = trainer_factory(case, arguments.device)(callbacks=[AtTheGate(arguments.device)], limit_val_batches=0)
    optimizer = partial(torch.optim.AdamW, **workload.OPTIMIZER)
    common = {
        "model": CausalLM(workload.load(arguments.folder, "student", "cpu"), case.vocab_size),
        "spec": StudentSpec(name="student", optimizer=optimizer, path=str(arguments.folder / "student"), warmup=0.0),
        "data": data,
        "tokenizer": None,
        "objective": Objective(forward_kl, 1.0, "token"),
        # So long a stage that the learning rate is constant.
        "stage_steps": 10**9,
    }
    trainer.fit(_module(arguments, case, data, trainer, common), datamodule=InOrder(case, data))


def _module(
    arguments: argparse.Namespace, case: workload.Case, data: EncodedData, trainer: Trainer, common: dict[str, Any]
) -> FineTuning:
    if arguments.kind == "sft":
        return FineTuning(**common)
    source = teacher_source(arguments.kind, arguments.folder, case, data, trainer)
    source.load(0)
    source.release()
    # All samples as texts without labels, of the same weight.
    texts = TextLoss(first=0, weight=1.0, best=0) if arguments.kind == "texts" else None
    return Distillation(source, ConstantWeight(1.0), None, torch.zeros(1), texts, **common)


def teacher_source(kind: str, folder: Path, case: workload.Case, data: EncodedData, trainer: Trainer) -> TeacherSource:
    """A source of the folder's trajectory, whose one checkpoint is the workload's teacher.

    Args:
        kind: "live", or another, whose signals are stored.
        folder: The workload's.
        case: The workload.
        data: Its samples.
        trainer: Its device and precision are the teacher's.
    """
    store = CheckpointStore(folder / "trajectory")
    device, precision = trainer.strategy.root_device, trainer.precision_plugin

    def live() -> LiveSource:
        teacher = CausalLM(workload.load(folder, "teacher", "cpu"), case.vocab_size).to(device)
        return LiveSource(teacher, store, precision.forward_context)

    if kind == "live":
        return live()
    lengths = [case.completion] * case.samples
    batches = partial(data.evaluation_loader, "train")
    samples = SampleSet("signals", range(case.samples), lengths, "benchmark", batches, case.samples // case.batch)
    signals = SignalStore(folder / "signals", str(precision.precision))
    return CachedSource(store, signals, samples, live, device, precision.forward_context)


if __name__ == "__main__":
    main(parse())
