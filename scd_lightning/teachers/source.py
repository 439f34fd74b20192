"""Where a stage's teacher outputs come from: one interface, whether the weights are live or the signals cached."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.store.checkpoints import CheckpointStore

# Enters the precision that training steps run in.
Precision = Callable[[], AbstractContextManager[None]]


@dataclass
class TeacherCounts:
    """What a source did, for costs.json.

    Attributes:
        loads: How often a checkpoint's weights were copied into a teacher model.
        loaded_bytes: Size of what was copied.
        load_seconds: How long that took, the first check of each file's digest included.
        forward_samples: Samples that went through a teacher's forward pass.
    """

    loads: int = 0
    loaded_bytes: int = 0
    load_seconds: float = 0.0
    forward_samples: int = 0

    def forwarded_by_all(self) -> int:
        """`forward_samples` of all processes together, which call it together."""
        return int(distributed.sum_over_ranks(torch.tensor([self.forward_samples]))[0])

    def add(self, other: "TeacherCounts") -> None:
        """Adds what was done before."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class TeacherSource(ABC):
    """Answers for one checkpoint of the trajectory at a time: the one that `load` named last.

    Args:
        store: The trajectory.

    Attributes:
        counts: What it cost so far.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self.store, self.counts = store, TeacherCounts()

    @property
    def num_checkpoints(self) -> int:
        """Length N of the trajectory."""
        return self.store.count

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
    def losses(self, batch: Batch, outputs: Unprojected) -> Tensor:
        """Cross-entropy [B] of the gold completions, mean over each sample's tokens, at temperature 1.

        Args:
            batch: The batch.
            outputs: This source's own `outputs(batch)`, so that no pass is made twice.
        """

    def digest(self, checkpoint: int) -> str:
        """SHA-256 of a checkpoint's stored weights, equal on all ranks or the run must stop."""
        return self.store.digest(checkpoint)

    def sweep(self, batches: Sequence[Batch]) -> Iterator[tuple[Sequence[int], int, list[Unprojected]]]:
        """Answers of all checkpoints for some batches. All ranks call it together.

        Args:
            batches: The batches.

        Yields:
            Some checkpoints, which batch, and each one's outputs on it; every pair of the two once.
        """
        for checkpoint in range(self.num_checkpoints):
            self.load(checkpoint)
            for i, batch in enumerate(batches):
                yield [checkpoint], i, [self.outputs(batch)]

    def outputs(self, batch: Batch) -> Unprojected:
        """What the head makes the logits of the batch's completion tokens of."""
        return Unprojected(self.hidden(batch), self.head)
