"""Teacher outputs from live weights, reloaded in place from the trajectory."""

import time
from contextlib import nullcontext
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.losses.logits import autocast_dtype
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.teachers.source import Precision, TeacherSource


class Teacher(Protocol):
    """What a teacher model must be able to do."""

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [K, D] that predict the batch's completion tokens."""

    @property
    def head(self) -> LMHead:
        """The LM head's live weights."""


class LiveSource(TeacherSource):
    """Runs the teacher's forward pass for every batch.

    It is no nn.Module and its model no submodule of the student: the teacher never enters a student checkpoint,
    and `.train()` never reaches it.

    Args:
        model: The teacher, on its device; put into eval mode and frozen here.
        store: The trajectory.
        context: Enters the precision that the forward pass runs under.
    """

    def __init__(self, model: nn.Module, store: CheckpointStore, context: Precision = nullcontext) -> None:
        super().__init__(store)
        self.model: nn.Module = model.eval().requires_grad_(False)
        self.teacher = cast(Teacher, model)
        self.context = context
        self._head: LMHead | None = None

    @override
    def load(self, checkpoint: int) -> None:
        self._head = None
        start = time.perf_counter()
        self.counts.loaded_bytes += self.store.load_into(self.model, checkpoint)
        self.counts.load_seconds += time.perf_counter() - start
        self.counts.loads += 1
        distributed.require_equal(self.digest(checkpoint), f"teacher checkpoint {checkpoint}")

    @torch.no_grad()
    @override
    def hidden(self, batch: Batch) -> Tensor:
        self.counts.forward_samples += sum(batch.real)
        with self.context():
            return self.teacher.hidden(batch)

    @property
    @override
    def head(self) -> LMHead:
        """The head in the dtype that a step's product runs in, cast once after a `load`; the next `load` changes it."""
        if self._head is None:
            own = self.own_head
            with self.context():
                self._head = own.to(autocast_dtype(own.weight))
        return self._head

    @property
    def own_head(self) -> LMHead:
        """The model's own head."""
        return self.teacher.head.detach()

    @override
    def losses(self, batch: Batch, outputs: Unprojected) -> Tensor:
        return per_sample_mean(chunked_cross_entropy(outputs, batch.targets), batch.rows, batch.size)
