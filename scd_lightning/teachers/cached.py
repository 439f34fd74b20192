"""Teacher outputs from cached signals: no teacher weight but the LM head is in memory while the student trains."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signals import SampleSet, Signals, SignalStore
from scd_lightning.teachers.source import Precision, TeacherSource


class CachedSource(TeacherSource):
    """Reads a checkpoint's signals for one sample set, and has them computed where they are not there yet.

    Args:
        store: The trajectory, for its digests.
        signals: Where signals are kept.
        samples: The samples this source can answer for.
        live: Makes the teacher, for signals that are missing; it is kept until `release`.
        device: Where answers go.
        context: Enters the precision that training steps run in.
    """

    def __init__(
        self,
        store: CheckpointStore,
        signals: SignalStore,
        samples: SampleSet,
        live: Callable[[], LiveSource],
        device: torch.device,
        context: Precision = nullcontext,
    ) -> None:
        super().__init__(store)
        self.signals, self.samples, self.live, self.device, self.context = signals, samples, live, device, context
        self._current: Signals | None = None
        self._live: LiveSource | None = None

    @override
    def load(self, checkpoint: int) -> None:
        """Opens a checkpoint's signals, after a pass over the samples where there are none."""
        # Before the next are opened: two heads would be in memory at once.
        self._current = None
        self._current = self._open(checkpoint, {})

    def _open(self, checkpoint: int, heads: dict[str, LMHead]) -> Signals:
        digest = self.digest(checkpoint)
        distributed.require_equal(digest, f"teacher checkpoint {checkpoint}")
        folder = self.signals.ensure(checkpoint, self.samples, self._teacher, digest)
        return Signals(folder, self.samples, self.device, self.context, heads)

    @override
    def sweep(self, batches: Sequence[Batch]) -> Iterator[tuple[Sequence[int], int, list[Unprojected]]]:
        """Answers of all checkpoints for one batch at a time: their heads, shared ones once, are in memory for it.

        No checkpoint is loaded afterwards.
        """
        self._current = None
        heads: dict[str, LMHead] = {}
        opened = [self._open(checkpoint, heads) for checkpoint in range(self.num_checkpoints)]
        for i, batch in enumerate(batches):
            yield range(len(opened)), i, [Unprojected(signals.hidden(batch), signals.head) for signals in opened]

    def _teacher(self) -> LiveSource:
        if self._live is None:
            self._live = self.live()
            self._live.counts = self.counts
        return self._live

    @override
    def release(self) -> None:
        self._live = None

    def _signals(self) -> Signals:
        if self._current is None:
            raise RuntimeError("load a checkpoint before asking for its signals")
        return self._current

    @override
    def hidden(self, batch: Batch) -> Tensor:
        return self._signals().hidden(batch)

    @property
    @override
    def head(self) -> LMHead:
        return self._signals().head

    @override
    def losses(self, batch: Batch, outputs: Unprojected) -> Tensor:
        return self._signals().losses(batch)
