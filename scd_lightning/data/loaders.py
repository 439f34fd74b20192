"""DataLoaders over batch plans: what a plan's slots name becomes one padded batch."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from scd_lightning.config.batch_size import SampleCount
from scd_lightning.data.batching import BatchPlan, PlanSampler
from scd_lightning.data.collate import Batch, Slot, TokenizedSample, collate


class _Slots(Dataset[tuple[TokenizedSample, Slot]]):
    """A split that is asked for by slot, so that a slot's weight and counts reach the batch."""

    def __init__(self, samples: Sequence[TokenizedSample]) -> None:
        self.samples = samples

    def __getitem__(self, slot: Slot) -> tuple[TokenizedSample, Slot]:
        return self.samples[slot.index], slot

    def __len__(self) -> int:
        return len(self.samples)


def _collate(pairs: Sequence[tuple[TokenizedSample, Slot]], pad_id: int) -> Batch:
    return collate([sample for sample, _ in pairs], [slot for _, slot in pairs], pad_id)


class SlotLoader(DataLoader[Any]):
    """A loader of one `Batch` per list of slots.

    Args:
        samples: The split.
        batches: A sampler or list of slot lists, each slot's index a position in the split.
        pad_id: Token id that fills the padding.
    """

    def __init__(self, samples: Sequence[TokenizedSample], batches: Iterable[list[Slot]], pad_id: int) -> None:
        super().__init__(
            _Slots(samples),
            batch_sampler=batches,
            collate_fn=partial(_collate, pad_id=pad_id),
            # Copies from other memory would wait for all that a GPU still has to do.
            pin_memory=torch.cuda.is_initialized(),
            # Each iteration draws a seed for workers that there are none of: not from what dropout draws from.
            generator=torch.Generator(),
        )


class TrainLoader(SlotLoader):
    """One over a batch plan, which Lightning can start within an epoch: its state is the place in the plan."""

    batch_sampler: PlanSampler

    def state_dict(self) -> dict[str, int]:
        """The epoch, and its optimizer steps whose batches were handed out."""
        return {"epoch": self.batch_sampler.epoch, "steps_done": self.batch_sampler.steps_done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Has the next iteration begin there."""
        self.batch_sampler.epoch, self.batch_sampler.steps_done = state["epoch"], state["steps_done"]


def plan_lengths(samples: Sequence[TokenizedSample]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens and completion tokens of each sample, as a batch plan wants them."""
    return tuple(len(sample) for sample in samples), tuple(len(sample.completion_ids) for sample in samples)


def fixed_batches(
    samples: Sequence[TokenizedSample],
    indices: Iterable[int],
    size: int,
    rank: int,
    world_size: int,
    done: Collection[int] = (),
) -> list[list[Slot]]:
    """One process's batches of some samples, longest first; each sample once over all processes, weight 0 apart.

    Whole batches are dealt out, so that what a model makes of a sample is the same to the bit for every number of
    processes.

    Args:
        samples: The split.
        indices: Positions in it.
        size: Samples of a batch.
        rank: This process.
        world_size: Number of processes.
        done: Positions that nothing is wanted of any more: where all processes' next batches hold only such, they are
            left out, so that all have as many.
    """
    chosen = list(indices)
    lengths, completions = plan_lengths([samples[index] for index in chosen])
    plan = BatchPlan(lengths, completions, SampleCount(size), seed=0, shuffle=False)
    batches = [[replace(slot, index=chosen[slot.index]) for slot in slots] for slots in plan.shard(0, 1)]
    while len(batches) % world_size:
        batches.append([replace(batches[0][-1], weight=0.0)])
    rounds = [batches[i : i + world_size] for i in range(0, len(batches), world_size)]
    left = [
        each for each in rounds if any(slot.weight > 0 and slot.index not in done for slots in each for slot in slots)
    ]
    return [each[rank] for each in left]


def length_statistics(samples: Sequence[TokenizedSample]) -> dict[str, float]:
    """Mean and largest number of tokens of samples and of their completions."""
    lengths, completions = plan_lengths(samples)
    return {
        "mean": round(sum(lengths) / len(lengths), 1),
        "max": max(lengths),
        "completion_mean": round(sum(completions) / len(completions), 1),
        "completion_max": max(completions),
    }
