"""Which samples make up each optimizer step, as pure lists that know no device and no process."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch.utils.data import Sampler

from scd_lightning.data.collate import Slot

# Samples are grouped by length inside windows of this many batches: wide enough to save nearly all padding, narrow
# enough that what a batch holds still changes from epoch to epoch.
BUCKET_BATCHES = 50


@dataclass(frozen=True)
class BatchPlan:
    """The global batches of one epoch, the same for every number of processes.

    Attributes:
        lengths: [S], tokens of each sample, by which samples are bucketed.
        completion_lengths: [S], completion tokens of each sample.
        global_batch: Samples of one optimizer step; the epoch's remainder makes one smaller step.
        seed: Seed of the order.
        epoch: Epoch, counted from 0; each has its own order.
        shuffle: Random order in length buckets; else from the longest sample to the shortest, so that a batch that
            does not fit into memory shows at once.
    """

    lengths: tuple[int, ...]
    completion_lengths: tuple[int, ...]
    global_batch: int
    seed: int
    epoch: int
    shuffle: bool = True

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.completion_lengths):
            raise ValueError(
                f"lengths and completion_lengths must count the same samples, got {len(self.lengths)} and "
                f"{len(self.completion_lengths)}"
            )
        if self.global_batch < 1:
            raise ValueError(f"global_batch must be at least 1, got {self.global_batch}")

    @cached_property
    def batches(self) -> list[list[int]]:
        """The sample ids of each global batch; every sample stands in exactly one."""
        if not self.shuffle:
            return _cut(self._by_length(range(len(self.lengths))), self.global_batch)
        # Seeded with a string, since Random hashes it the same way on every platform and in every process.
        generator = random.Random(f"{self.seed}/{self.epoch}")
        order = list(range(len(self.lengths)))
        generator.shuffle(order)
        # The remainder is taken off before bucketing: a smaller step weighs its samples more, and those must be
        # any samples, not always the longest.
        full = len(order) - len(order) % self.global_batch
        windows = _cut(order[:full], self.global_batch * BUCKET_BATCHES)
        batches = [batch for window in windows for batch in _cut(self._by_length(window), self.global_batch)]
        if full < len(order):
            batches.append(self._by_length(order[full:]))
        generator.shuffle(batches)
        return batches

    def shard(self, rank: int, world_size: int, micro_batches: int = 1) -> list[list[Slot]]:
        """Cuts each global batch over the processes, and a process's share into micro-batches.

        Every process gets the same number of micro-batches, `micro_batches` for each global batch, none of them
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

    def _by_length(self, ids: Sequence[int]) -> list[int]:
        """The longest first; equal lengths keep their order."""
        return sorted(ids, key=lambda index: -self.lengths[index])


class PlanSampler(Sampler[list[Slot]]):
    """Batch sampler of one process: each item is one micro-batch of the plan.

    Args:
        lengths: [S], tokens of each sample.
        completion_lengths: [S], completion tokens of each sample.
        global_batch: Samples of one optimizer step over all processes and micro-batches.
        seed: Seed of the order.
        shuffle: As in `BatchPlan`.
        rank: This process.
        world_size: Number of processes.
        micro_batches: Micro-batches of one optimizer step.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        completion_lengths: Sequence[int],
        global_batch: int,
        seed: int,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        micro_batches: int = 1,
    ) -> None:
        self.lengths, self.completion_lengths = tuple(lengths), tuple(completion_lengths)
        self.global_batch, self.seed, self.shuffle = global_batch, seed, shuffle
        self.rank, self.world_size, self.micro_batches = rank, world_size, micro_batches
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order the next iteration takes."""
        self.epoch = epoch

    @property
    def sampler(self) -> "PlanSampler":
        """Itself: Lightning tells the epoch to `batch_sampler.sampler` only, never to the batch sampler."""
        return self

    @property
    def plan(self) -> BatchPlan:
        """The plan of the current epoch."""
        return BatchPlan(self.lengths, self.completion_lengths, self.global_batch, self.seed, self.epoch, self.shuffle)

    def __iter__(self) -> Iterator[list[Slot]]:
        return iter(self.plan.shard(self.rank, self.world_size, self.micro_batches))

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.global_batch) * self.micro_batches


def _cut(ids: Sequence[int], size: int) -> list[list[int]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]
