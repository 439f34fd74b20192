"""What the peers built on transformers' Trainer have in common: arguments, a gate after each step, whole runs."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, Trainer, TrainerCallback

from benchmarks import workload
from benchmarks.contenders.gate import Gate, peak, reset_peak
from benchmarks.floor import timed

# (student, teacher, case, token ids, arguments of its training, what every trainer is given) -> the peer's trainer.
MakeTrainer = Callable[[PreTrainedModel, PreTrainedModel, workload.Case, Any, dict[str, Any], dict[str, Any]], Trainer]


def _training_arguments(case: workload.Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of transformers' TrainingArguments that leave nothing but training."""
    bf16 = case.dtype == "bfloat16"
    length = {"num_train_epochs": arguments.epochs} if arguments.epochs else {"max_steps": case.steps}
    return {
        "output_dir": str(Path(arguments.folder) / "output"),
        "per_device_train_batch_size": case.batch,
        "gradient_accumulation_steps": 1,
        "max_grad_norm": workload.CLIP,
        "bf16": bf16,
        "gradient_checkpointing": False,
        "train_sampling_strategy": "sequential",
        "dataloader_num_workers": 0,
        "logging_strategy": "no",
        "eval_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": arguments.device == "cpu",
        **length,
    }


class _AtTheGate(TrainerCallback):
    """Waits between two steps; the next batch is fetched within the next step."""

    def __init__(self, gate: Gate, losses: list[torch.Tensor]) -> None:
        self.gate, self.losses = gate, losses

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """All is loaded."""
        self.gate.ready()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """A step is done."""
        self.gate.done(self.losses[-1])


def main(arguments: argparse.Namespace, make_trainer: MakeTrainer) -> None:
    """Trains by a peer's own trainer, step by step at the referee's orders or all at once.

    Args:
        arguments: The command line's.
        make_trainer: Makes the trainer.
    """
    case, ids = workload.read(arguments.folder)
    student, teacher = (workload.load(arguments.folder, role, arguments.device) for role in ("student", "teacher"))
    optimizer = workload.optimizer(student)
    common = {"optimizers": (optimizer, LambdaLR(optimizer, lambda step: 1.0))}
    trainer = make_trainer(student, teacher, case, ids, _training_arguments(case, arguments), common)
    losses = _record_losses(trainer)
    gate = Gate(arguments.device)
    if arguments.epochs:
        gate.report_run(_whole_run(trainer, losses, arguments.device))
    else:
        trainer.add_callback(_AtTheGate(gate, losses))
        trainer.train()


def _record_losses(trainer: Trainer) -> list[torch.Tensor]:
    """A list whose only element is the newest step's loss; the trainer itself keeps sums alone."""
    losses: list[torch.Tensor] = []
    training_step = trainer.training_step

    def recording(*args: Any, **kwargs: Any) -> torch.Tensor:
        losses[:] = [training_step(*args, **kwargs)]
        return losses[0]

    trainer.training_step = recording  # type: ignore[method-assign]
    return losses


def _whole_run(trainer: Trainer, losses: list[torch.Tensor], device: str) -> dict[str, Any]:
    reset_peak(device)
    taken = timed(trainer.train, device)
    return taken | {"peak_bytes": peak(device), "steps": trainer.state.global_step, "loss": float(losses[-1])}
