"""Which samples make up each optimizer step, as pure lists that know no device and no process."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from torch.utils.data import Sampler

from scd_lightning.config.batch_size import BatchSize
from scd_lightning.data.collate import Slot


@dataclass(frozen=True)
class BatchPlan:
    """The batches of one epoch, each of one optimizer step; the same for every number of processes.

    Attributes:
        lengths: [S], tokens of each sample, by which samples are bucketed.
        completion_lengths: [S], completion tokens of each sample.
        size: How much one optimizer step holds.
        seed: Seed of the order.
        epoch: Epoch, counted from 0; each has its own order, and as many batches as the others.
        shuffle: Random order in length buckets; else from the longest sample to the shortest, so that a batch that
            does not fit into memory shows at once.
    """

    lengths: tuple[int, ...]
    completion_lengths: tuple[int, ...]
    size: BatchSize
    seed: int
    epoch: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.completion_lengths):
            raise ValueError(
                f"lengths and completion_lengths must count the same samples, got {len(self.lengths)} and "
                f"{len(self.completion_lengths)}"
            )

    @cached_property
    def batches(self) -> list[list[int]]:
        """The sample ids of each batch; every sample stands in exactly one."""
        # Seeded with a string, since Random hashes it the same way on every platform and in every process.
        generator = random.Random(f"{self.seed}/{self.epoch}") if self.shuffle else None
        return self.size.batches(self.lengths, generator)

    def shard(self, rank: int, world_size: int, micro_batches: int = 1) -> list[list[Slot]]:
        """Cuts each batch over the processes, and a process's share into micro-batches.

        Every process gets the same number of micro-batches, `micro_batches` for each batch, none of them
        empty: where samples don't suffice, the batch's shortest one stands in with weight 0.

        Args:
            rank: This process.
            world_size: Number of processes.
            micro_batches: Forward passes of one process for one optimizer step.
        """
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0 to world_size - 1, got rank {rank} of {world_size}")
        if micro_batches < 1:
            raise ValueError(f"micro_batches must be at least 1, got {micro_batches}")
        return [slots for batch in self.batches for slots in self._share(batch, rank, world_size, micro_batches)]

    def _share(self, batch: list[int], rank: int, world_size: int, micro_batches: int) -> list[list[Slot]]:
        tokens = sum(self.completion_lengths[index] for index in batch)
        # Strided over the ranks, so that each gets long and short samples alike; contiguous within the rank, so
        # that a micro-batch holds samples of similar length.
        ids = batch[rank::world_size]
        bounds = [len(ids) * part // micro_batches for part in range(micro_batches + 1)]
        filler = [Slot(batch[-1], 0.0, len(batch), tokens)]
        parts = [ids[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
        return [[Slot(index, 1.0, len(batch), tokens) for index in part] or filler for part in parts]

    def padded_tokens(self, world_size: int, micro_batches: int = 1, steps: int | None = None) -> int:
        """Tokens of all micro-batches of all processes, padding included; of the first steps, or of all."""
        end = None if steps is None else steps * micro_batches
        shards = (self.shard(rank, world_size, micro_batches)[:end] for rank in range(world_size))
        return sum(len(slots) * max(self.lengths[slot.index] for slot in slots) for shard in shards for slots in shard)


class PlanSampler(Sampler[list[Slot]]):
    """Batch sampler of one process: each item is one micro-batch of the epoch's plan.

    Args:
        first: The first epoch's plan.
        rank: This process.
        world_size: Number of processes.
        micro_batches: Micro-batches of one optimizer step.

    Attributes:
        epoch: Whose order the next iteration takes.
        steps_done: Optimizer steps of the epoch whose batches were handed out; the next iteration begins after them.
    """

    def __init__(self, first: BatchPlan, rank: int = 0, world_size: int = 1, micro_batches: int = 1) -> None:
        self.first = first
        self.rank, self.world_size, self.micro_batches = rank, world_size, micro_batches
        self.epoch = self.steps_done = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order the next iteration takes, from its beginning where it is another one."""
        if epoch != self.epoch:
            self.epoch, self.steps_done = epoch, 0

    @property
    def sampler(self) -> "PlanSampler":
        """Itself: Lightning tells the epoch to `batch_sampler.sampler` only, never to the batch sampler."""
        return self

    @property
    def plan(self) -> BatchPlan:
        """The plan of the current epoch."""
        return replace(self.first, epoch=self.epoch)

    @cached_property
    def steps(self) -> int:
        """Optimizer steps of every epoch."""
        return len(self.first.batches)

    def __iter__(self) -> Iterator[list[Slot]]:
        # Lazily: Lightning makes an iterator before it tells the epoch.
        micro_batches = self.plan.shard(self.rank, self.world_size, self.micro_batches)
        first = self.steps_done * self.micro_batches
        for count, slots in enumerate(micro_batches[first:], first + 1):
            self.steps_done = count // self.micro_batches % self.steps
            yield slots

    def __len__(self) -> int:
        return self.steps * self.micro_batches
