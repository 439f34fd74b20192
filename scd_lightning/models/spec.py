"""What a teacher and a student are, as plain values; checked here, before anything is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from scd_lightning.errors import ConfigError


def require_at_least(minimum: float, **arguments: float | None) -> None:
    """Raises a ConfigError for the first argument that is a number below the minimum; None passes."""
    for name, value in arguments.items():
        if value is not None and value < minimum:
            raise ConfigError("A number is too small", where=name, got=value, expected=f"{minimum} or more")


@dataclass(frozen=True)
class LoRA:
    """Low-rank adapters by peft; rank 0 means that all weights are trained.

    Attributes:
        r: Rank, 0 for none.
        alpha: Scale; None means 2 r.
        dropout: Dropout on the adapters' input.
        target_modules: Names of the layers that get adapters, or "all-linear".
    """

    r: int = 0
    alpha: int | None = None
    dropout: float = 0.0
    target_modules: str | list[str] = "all-linear"

    def __post_init__(self) -> None:
        require_at_least(0, **{"lora.r": self.r, "lora.dropout": self.dropout})
        require_at_least(1, **{"lora.alpha": self.alpha})


@dataclass(frozen=True)
class ModelSpec:
    """A causal language model: a hub id or a local folder, or an architecture to start from scratch.

    Attributes:
        name: What tables call it.
        optimizer: Makes the optimizer from the parameters.
        path: Hub id or local folder; None for a model from scratch.
        revision: Branch, tag or commit on the hub.
        architecture: Fields of a LlamaConfig, for a model from scratch.
        vocab_size: Size of the tokenizer that is trained on the task's texts, for a model from scratch.
        dtype: "auto" (float32, and bfloat16 for the frozen weights below LoRA adapters on a GPU) or a dtype's name.
        attention: Attention kernel of transformers ("sdpa", "eager", "flash_attention_2").
        gradient_checkpointing: Recompute activations in the backward pass: slower, far less memory.
        trust_remote_code: Run code that comes with the model. Off unless asked.
        lora: Adapters.
        warmup: Share of the optimizer steps (of a stage, for students) that the learning rate climbs.
    """

    name: str
    optimizer: Callable[..., Optimizer]
    path: str | None = None
    revision: str | None = None
    architecture: Mapping[str, Any] | None = None
    vocab_size: int | None = None
    dtype: str = "auto"
    attention: str = "sdpa"
    gradient_checkpointing: bool = False
    trust_remote_code: bool = False
    lora: LoRA = field(default_factory=LoRA)
    warmup: float = 0.1

    def __post_init__(self) -> None:
        if self.path is None and (self.architecture is None or self.vocab_size is None):
            raise ConfigError(
                f"The model {self.name!r} has neither a path nor an architecture with a vocab_size",
                expected="path=<hub id or folder>, or architecture={...} and vocab_size=<n>",
            )
        require_at_least(1, **{f"{self.name}: vocab_size": self.vocab_size})
        if not 0 <= self.warmup <= 1:
            raise ConfigError(
                "A share is out of range", where=f"{self.name}: warmup", got=self.warmup, expected="0 to 1"
            )
        try:
            self.optimizer([Parameter(torch.zeros(1))])
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(f"The optimizer can't be made ({error})", where=f"{self.name}: optimizer") from error

    @property
    def pretrained(self) -> bool:
        """Whether the model comes with weights, so that its untuned self is worth a row of the table."""
        return self.path is not None


@dataclass(frozen=True, kw_only=True)
class TeacherSpec(ModelSpec):
    """A teacher and its fine-tuning.

    Attributes:
        checkpoints: Number N of checkpoints kept at equal spacing of the optimizer steps.
        epochs: Passes over the training samples.
        global_batch: Samples of an optimizer step, over all devices.
    """

    checkpoints: int = 4
    epochs: int = 4
    global_batch: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(
            1,
            **{
                "teacher.checkpoints": self.checkpoints,
                "teacher.epochs": self.epochs,
                "teacher.global_batch": self.global_batch,
            },
        )


@dataclass(frozen=True, kw_only=True)
class StudentSpec(ModelSpec):
    """A student; how long it trains is the budget's matter."""
