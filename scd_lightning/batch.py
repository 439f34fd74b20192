"""What travels between data, models and teachers: samples, their places in a batch, batches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenizedSample:
    """One sample as token ids; prompt and completion were tokenized together.

    Attributes:
        index: Position in its split, 0 to S - 1.
        prompt_ids: The rendered prompt, never empty.
        completion_ids: The gold answer with the end-of-sequence token, never empty.
        candidate_ids: For choice tasks, each candidate answer like `completion_ids`; else None.
    """

    index: int
    prompt_ids: list[int]
    completion_ids: list[int]
    candidate_ids: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True)
class Slot:
    """One place of a batch, as a batch plan fills it.

    Attributes:
        index: The sample that stands there.
        weight: 1.0, or 0.0 for a sample that only pads a rank's share of the batch.
        window_samples: Samples of the whole optimizer step, over all ranks and micro-batches, padding apart.
        window_tokens: Completion tokens of the whole optimizer step, likewise.
    """

    index: int
    weight: float
    window_samples: int
    window_tokens: int


@dataclass
class Batch:
    """B samples padded on the right to T positions, with K completion tokens in all.

    Attributes:
        input_ids: [B, T].
        positions: [K], index into the flattened [B * T] positions of the hidden state that predicts each
            completion token, i.e. of the token *before* it.
        targets: [K], the completion tokens, row by row.
        rows: [K], the row of the batch that each completion token belongs to, ascending.
        index: [B], positions of the samples in their split.
        sample_weight: [B], 1.0, or 0.0 for rows that only pad a rank's share.
        window_samples: Samples of the whole optimizer step (all ranks and micro-batches, padding apart).
        window_tokens: Completion tokens of the whole optimizer step, likewise.
        indices: [B], `index` once more, where reading it waits for no GPU.
        real: [B], whether `sample_weight` is above 0, likewise.
    """

    input_ids: Tensor
    positions: Tensor
    targets: Tensor
    rows: Tensor
    index: Tensor
    sample_weight: Tensor
    window_samples: int
    window_tokens: int
    indices: tuple[int, ...]
    real: tuple[bool, ...]

    @property
    def size(self) -> int:
        """Number of rows B, padding rows included."""
        return self.input_ids.shape[0]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; from pinned memory, the copy runs beside what a GPU still works on."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=device.type == "cuda"))

    def pin_memory(self) -> "Batch":
        """The same batch in pinned memory; a DataLoader calls it."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed: dict[str, Any] = {k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **changed)
