"""What a teacher and a student are, as plain values; checked here, before anything is loaded."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from scd_lightning.config.batch_size import BatchSize, batch_size
from scd_lightning.config.checks import require_at_least, require_one_of, require_positive
from scd_lightning.errors import ConfigError
from scd_lightning.models.packaged import find_packaged


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
    """A causal language model: a hub id, a local folder or a GGUF file, or an architecture to start from scratch.

    Attributes:
        name: What tables call it; "" for the hub id, the folder's or the file's own name.
        optimizer: Makes the optimizer from the parameters.
        path: Hub id, local folder, or "package:folder inside it"; None for a GGUF file or a model from scratch.
        gguf: A GGUF file, as a path or as "package:file inside it"; converted once into the store.
        revision: Branch, tag or commit on the hub.
        architecture: Fields of a LlamaConfig, for a model from scratch.
        vocab_size: Size of the tokenizer that is trained on the task's texts, for a model from scratch.
        dtype: "auto" (float32, and bfloat16 for the frozen weights below LoRA adapters on a GPU) or a dtype's name.
        attention: Attention kernel of transformers ("sdpa", "eager", "flash_attention_2", "flex_attention").
        gradient_checkpointing: Recompute activations in the backward pass: slower, far less memory.
        trust_remote_code: Run code that comes with the model. Off unless asked.
        allow_pickle: Read weights that are there in pickled form alone, by torch's restricted unpickler. Off unless
            asked.
        keep_layers: Thins a pretrained model out: how many layers stay, evenly spaced with the first and the last
            among them, or their indices. None keeps all.
        bos_token: The token that begins prompts; None for the tokenizer's own. A chat template says itself what does.
        eos_token: The token that ends answers; None for the tokenizer's own. Models of one family that differ in these
            two, such as a base model and its chat model, can so be taught by one another.
        quantization: "8bit" or "4bit" for the frozen weights below a teacher's adapters; None leaves them whole.
        lora: Adapters.
        warmup: Share of the optimizer steps (of a stage, for students) that the learning rate climbs.
    """

    # The part of the configuration, for messages.
    role: ClassVar[str] = "model"

    name: str
    optimizer: Callable[..., Any]
    path: str | None = None
    gguf: str | None = None
    revision: str | None = None
    architecture: Mapping[str, Any] | None = None
    vocab_size: int | None = None
    dtype: str = "auto"
    attention: str = "sdpa"
    gradient_checkpointing: bool = False
    trust_remote_code: bool = False
    allow_pickle: bool = False
    keep_layers: int | list[int] | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    quantization: Literal["8bit", "4bit"] | None = None
    lora: LoRA = field(default_factory=LoRA)
    warmup: float = 0.1

    def __post_init__(self) -> None:
        if not self.pretrained and (self.architecture is None or self.vocab_size is None):
            raise ConfigError(
                f"The model {self.name!r} has neither a path nor an architecture with a vocab_size",
                expected="path=<hub id or folder>, or architecture={...} and vocab_size=<n>",
            )
        if not self.name:
            object.__setattr__(self, "name", self._own_name())
        if self.path is not None and (folder := find_packaged(self.path, f"{self.role}.path")):
            object.__setattr__(self, "path", str(folder))
        require_one_of(("auto", "float32", "float64", "bfloat16"), **{f"{self.role}.dtype": self.dtype})
        self._check_pretrained_options()
        require_at_least(1, **{f"{self.role}.vocab_size": self.vocab_size})
        if not 0 <= self.warmup <= 1:
            raise ConfigError(
                "A share is out of range", where=f"{self.role}.warmup", got=self.warmup, expected="0 to 1"
            )

    @property
    def pretrained(self) -> bool:
        """Whether the model comes with weights, so that its untuned self is worth a row of the table."""
        return self.path is not None or self.gguf is not None

    def _own_name(self) -> str:
        """What the model is called without a name: no path, so that equal models elsewhere have equal results."""
        if self.gguf is not None:
            name = Path(self.gguf.rpartition(":")[2]).stem
        elif self.path is not None:
            name = Path(self.path).resolve().name if os.path.isdir(self.path) else self.path
        else:
            name = "from scratch"
        if self.keep_layers is None:
            return name
        kept = self.keep_layers if isinstance(self.keep_layers, int) else len(self.keep_layers)
        return f"{name}, {kept} layer{'s' if kept > 1 else ''}"

    def _check_pretrained_options(self) -> None:
        if self.path is not None and self.gguf is not None:
            raise ConfigError(
                "A model has a path and a GGUF file",
                where=f"{self.role}.path, {self.role}.gguf",
                got=f"path={self.path}, gguf={self.gguf}",
                remedy=f"set the one that is not meant to null, {self.role}.path=null or {self.role}.gguf=null",
            )
        for name in ("keep_layers", "bos_token", "eos_token", "quantization"):
            value = getattr(self, name)
            if value is not None and not self.pretrained:
                raise ConfigError(
                    f"{name} is for pretrained models",
                    where=f"{self.role}.{name}",
                    got=value,
                    remedy=f"leave it out, or name a pretrained model by {self.role}.path or {self.role}.gguf",
                )
        if self.quantization is not None and not self.lora.r:
            raise ConfigError(
                "Only frozen weights can be quantized, and without adapters none are frozen",
                where=f"{self.role}.quantization",
                got=f"{self.quantization} with lora.r=0",
                remedy=f"set {self.role}.lora.r=16, or {self.role}.quantization=null",
            )


@dataclass(frozen=True, kw_only=True)
class TeacherSpec(ModelSpec):
    """A teacher and its fine-tuning.

    Attributes:
        checkpoints: Number N of checkpoints kept at equal spacing of the optimizer steps.
        epochs: Passes over the training samples.
        global_batch: Samples of an optimizer step, over all devices.
        batch_tokens: Its tokens instead, padding included: as many samples as fit. None for a number of samples.
        trajectory: Existing checkpoints of a fine-tuning of this model, taken instead of one of our own: a pattern, a
            folder, or a list of paths. None fine-tunes it here.
        trim_vocabulary: Cut the one vocabulary of teacher and student to the tokens that the texts to learn from need.
    """

    role: ClassVar[str] = "teacher"

    checkpoints: int = 4
    epochs: int = 4
    global_batch: int = 8
    batch_tokens: int | None = None
    trajectory: str | list[str] | None = None
    trim_vocabulary: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("checkpoints", "epochs", "global_batch", "batch_tokens")
        require_at_least(1, **{f"teacher.{name}": getattr(self, name) for name in counts})

    @property
    def batch(self) -> BatchSize:
        """How much an optimizer step holds."""
        return batch_size(self.global_batch, self.batch_tokens)


@dataclass(frozen=True, kw_only=True)
class StudentSpec(ModelSpec):
    """A student; how long it trains is the budget's matter.

    Attributes:
        init: Where distillation starts: from the "base" weights, or from those of the "anchor".
        heal_epochs: Epochs in which a thinned model is distilled from the whole one, after each halving of its layers,
            before anything else is trained; the healed weights are then its "base". 0 leaves it as it is.
        heal_lr: The learning rate of that; None for the optimizer's own.
    """

    role: ClassVar[str] = "student"

    init: Literal["base", "anchor"] = "base"
    heal_epochs: int = 0
    heal_lr: float | None = None

    def __post_init__(self) -> None:
        if self.quantization is not None:
            raise ConfigError(
                "A student's weights can't be quantized: it is exported whole, and so it is measured whole",
                where="student.quantization",
                got=self.quantization,
                remedy="student.quantization=null; for less memory student.lora.r=16 "
                "student.gradient_checkpointing=true",
            )
        super().__post_init__()
        require_at_least(0, **{"student.heal_epochs": self.heal_epochs})
        if self.heal_lr is not None:
            require_positive(**{"student.heal_lr": self.heal_lr})
        if self.heal_epochs:
            self._check_healing()
        elif self.heal_lr is not None:
            raise ConfigError(
                "A learning rate of healing, and nothing is healed",
                where="student.heal_lr",
                got=f"{self.heal_lr} with student.heal_epochs=0",
                remedy="set student.heal_epochs=1 or more, or leave student.heal_lr out",
            )

    def _own_name(self) -> str:
        return super()._own_name() + (", healed" if self.heal_epochs else "")

    def _check_healing(self) -> None:
        if self.keep_layers is None:
            raise ConfigError(
                "Only a model that layers are taken out of can be healed",
                where="student.heal_epochs",
                got=f"{self.heal_epochs} with student.keep_layers=null",
                remedy="set student.heal_epochs=0, or student.keep_layers to a part of a pretrained model's layers",
            )
        if self.lora.r:
            raise ConfigError(
                "Healing trains all weights of a thinned model, and adapters would leave them as they are",
                where="student.heal_epochs",
                got=f"{self.heal_epochs} with student.lora.r={self.lora.r}",
                remedy="set student.lora.r=0, or student.heal_epochs=0",
            )


@dataclass(frozen=True)
class AnchorSpec:
    """The student that is fine-tuned alone, where it exists already.

    Attributes:
        path: Folder or file of its weights; None fine-tunes it here.
    """

    path: str | None = None
