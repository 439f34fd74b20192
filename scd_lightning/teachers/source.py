"""Where a stage's teacher outputs come from: one interface, whether the weights are live or the signals cached."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_lightning.batch import Batch


@dataclass(frozen=True)
class LMHead:
    """The linear map from a hidden state to the logits of the tokenizer's vocabulary.

    Attributes:
        weight: [V, D], cut to the tokenizer's length where the model's vocabulary is padded.
        bias: [V] or None.
    """

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits [K, V] of hidden states [K, D]."""
        return torch.nn.functional.linear(hidden, self.weight, self.bias)

    def clone(self) -> "LMHead":
        """A copy that survives a reload of the weights it was taken from."""
        bias = None if self.bias is None else self.bias.detach().clone()
        return LMHead(self.weight.detach().clone(), bias)


@dataclass
class TeacherCounts:
    """What a source did, for costs.json.

    Attributes:
        loads: How often a checkpoint's weights were copied into a teacher model.
        forward_samples: Samples that went through a teacher's forward pass.
    """

    loads: int = 0
    forward_samples: int = 0


class TeacherSource(ABC):
    """Answers for one checkpoint of the trajectory at a time: the one that `load` named last.

    Attributes:
        counts: What it cost so far.
    """

    counts: TeacherCounts

    @property
    @abstractmethod
    def num_checkpoints(self) -> int:
        """Length N of the trajectory."""

    @abstractmethod
    def load(self, checkpoint: int) -> None:
        """Makes a checkpoint (0 to N - 1) the one that answers. All ranks call it together."""

    def release(self) -> None:  # noqa: B027 - a source that holds nothing extra has nothing to do
        """Frees what only loading needed, before the student trains on."""

    @abstractmethod
    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [K, D] that predict the batch's completion tokens, in the order of `batch.targets`."""

    @property
    @abstractmethod
    def head(self) -> LMHead:
        """The checkpoint's LM head. It may share the live weights: `clone` it to keep it."""

    @abstractmethod
    def losses(self, batch: Batch, logits: Tensor) -> Tensor:
        """Cross-entropy [B] of the gold completions, mean over each sample's tokens, at temperature 1.

        Args:
            batch: The batch.
            logits: [K, V], this source's own `logits(batch)`, so that no pass is made twice.
        """

    @abstractmethod
    def digest(self, checkpoint: int) -> str:
        """SHA-256 of a checkpoint's stored weights, equal on all ranks or the run must stop."""

    def logits(self, batch: Batch) -> Tensor:
        """Logits [K, V] of the batch's completion tokens."""
        return self.head(self.hidden(batch))
