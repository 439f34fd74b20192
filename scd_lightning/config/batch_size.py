"""How much an optimizer step holds: a number of samples, or as many samples as fit into a number of tokens."""

import random
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

# With a fixed number of samples, these are grouped by length inside windows of this many batches: wide enough to save
# nearly all padding, narrow enough that what a batch holds still changes from epoch to epoch.
BUCKET_BATCHES = 50
# With a token budget, batches are drawn from samples whose lengths differ by this share at most, ...
ALIKE = 1 / 16
# ... but from enough samples for this many batches: else a small split's batches were the same in every epoch.
BLOCK_BATCHES = 2


class BatchSize(ABC):
    """The size of an optimizer step, over all processes and micro-batches."""

    @abstractmethod
    def batches(self, lengths: Sequence[int], generator: random.Random | None = None) -> list[list[int]]:
        """Parts the samples into batches; how many depends on the lengths alone, not on the order.

        Args:
            lengths: [S], tokens of each sample.
            generator: Draws the order. None: from the longest sample to the shortest, so that a batch that does not
                fit into memory shows at once.

        Returns:
            Each batch's positions, from its longest sample to its shortest.

        Raises:
            ValueError: A sample does not fit into any batch.
        """

    @abstractmethod
    def fits(self, length: int) -> bool:
        """Whether a batch may hold a sample of this many tokens."""

    @abstractmethod
    def expected_batches(self, samples: int, mean_length: float) -> int:
        """Roughly the number of batches, where the lengths are not known yet."""

    def heaviest(self, lengths: Sequence[int], parts: int) -> int:
        """Tokens, padding included, of the largest part where each batch is cut into equally many."""
        return max(-(-len(batch) // parts) * lengths[batch[0]] for batch in self.batches(lengths))


@dataclass(frozen=True)
class SampleCount(BatchSize):
    """A fixed number of samples; the remainder makes one smaller batch.

    Attributes:
        samples: Samples of a batch.
    """

    samples: int

    def __post_init__(self) -> None:
        _check("samples", self.samples)

    def __str__(self) -> str:
        return f"{self.samples} samples"

    @override
    def batches(self, lengths: Sequence[int], generator: random.Random | None = None) -> list[list[int]]:
        order = list(range(len(lengths)))
        if generator is None:
            return _cut(_by_length(order, lengths), self.samples)
        generator.shuffle(order)
        # The remainder is taken off before bucketing: a smaller step weighs its samples more, and those must be
        # any samples, not always the longest.
        full = len(order) - len(order) % self.samples
        windows = _cut(order[:full], self.samples * BUCKET_BATCHES)
        batches = [batch for window in windows for batch in _cut(_by_length(window, lengths), self.samples)]
        if full < len(order):
            batches.append(_by_length(order[full:], lengths))
        generator.shuffle(batches)
        return batches

    @override
    def fits(self, length: int) -> bool:
        return True

    @override
    def expected_batches(self, samples: int, mean_length: float) -> int:
        return -(-samples // self.samples)


@dataclass(frozen=True)
class TokenBudget(BatchSize):
    """As many samples as fit into a number of tokens, padding included.

    The samples, sorted by length, are parted into blocks of nearly equal lengths, the same ones in every epoch, and
    each block is dealt at random into batches of as many samples as its longest allows. So every epoch has as many
    batches, whatever the order. What is left over joins the last block and makes its batches somewhat smaller: a
    batch of a few samples would weigh each of them many times as much.

    The loss is a mean over the batch's samples, and a batch of long ones holds fewer. A sample therefore counts in
    proportion to its length, about: less than in batches of a fixed number where it is short, more where it is long.
    With a mean over the batch's tokens, each token counts about as much as another.

    Attributes:
        tokens: Most samples x tokens of the longest one.
    """

    tokens: int

    def __post_init__(self) -> None:
        _check("tokens", self.tokens)

    def __str__(self) -> str:
        return f"{self.tokens} tokens"

    @override
    def batches(self, lengths: Sequence[int], generator: random.Random | None = None) -> list[list[int]]:
        order = _by_length(range(len(lengths)), lengths)
        batches = []
        for start, end, most in self._blocks([lengths[index] for index in order]):
            block = order[start:end]
            if generator is not None:
                generator.shuffle(block)
            batches += [_by_length(part, lengths) for part in _deal(block, -(-len(block) // most))]
        if generator is not None:
            generator.shuffle(batches)
        return batches

    def _blocks(self, lengths: Sequence[int]) -> list[tuple[int, int, int]]:
        """Start, end and most samples of a batch, of each block of the descending lengths."""
        blocks = list(self._full_blocks(lengths))
        if len(blocks) > 1 and len(lengths) - blocks[-1][0] <= blocks[-2][2]:
            del blocks[-1]
        if blocks:
            start, _, most = blocks[-1]
            blocks[-1] = start, len(lengths), most
        return blocks

    def _full_blocks(self, lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        start = 0
        while start < len(lengths):
            if not self.fits(lengths[start]):
                raise ValueError(f"A sample of {lengths[start]} tokens does not fit into a batch of {self.tokens}")
            most = self.tokens // lengths[start]
            shortest = lengths[start] * (1 - ALIKE)
            alike = bisect_right(lengths, -shortest, key=lambda length: -length) - start
            end = start + max(BLOCK_BATCHES, alike // most) * most
            yield start, end, most
            start = end

    @override
    def fits(self, length: int) -> bool:
        return length <= self.tokens

    @override
    def expected_batches(self, samples: int, mean_length: float) -> int:
        # As if no token were padding.
        return max(1, round(samples * mean_length / self.tokens))


def batch_size(samples: int, tokens: int | None) -> BatchSize:
    """The token budget where there is one, else the number of samples."""
    return SampleCount(samples) if tokens is None else TokenBudget(tokens)


def _check(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} of a batch must be at least 1, got {value}")


def _by_length(ids: Sequence[int], lengths: Sequence[int]) -> list[int]:
    """The longest first; equal lengths keep their order."""
    return sorted(ids, key=lambda index: -lengths[index])


def _cut(ids: Sequence[int], size: int) -> list[list[int]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def _deal(ids: Sequence[int], parts: int) -> list[Sequence[int]]:
    """Parts of equal size, to one sample."""
    bounds = [len(ids) * part // parts for part in range(parts + 1)]
    return [ids[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
