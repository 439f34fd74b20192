"""Logits of a few tokens at a time: the only places where a width of the vocabulary exists."""

from collections.abc import Iterator

import torch
from torch import Tensor

from scd_lightning.lm_head import Unprojected

# A chunk is what the LM head projects at once, in one buffer for all chunks: so many tokens that the product runs at
# full speed, and no smaller than so many bytes of float32.
CHUNK_TOKENS = 256
CHUNK_BYTES = 32 * 2**20
# A block is what softmax and divergence go over at once. A CPU makes their dozen passes over it within its cache.
BLOCK_BYTES = 32 * 2**20
CPU_BLOCK_BYTES = 4 * 2**20


def autocast_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype that a matrix product with a tensor runs in here: never float16.

    Gradients are formed before a loss scaler could lift them into float16's range.
    """
    device = tensor.device.type
    if not torch.is_autocast_enabled(device) or tensor.dtype == torch.float64:
        return tensor.dtype
    dtype = torch.get_autocast_dtype(device)
    return torch.float32 if dtype == torch.float16 else dtype


class ChunkedLogits:
    """A model's logits, chunk by chunk in one buffer, which the next chunk overwrites. Made without autograd.

    Args:
        outputs: The model's outputs on K tokens.
        buffer: Another one's, of the same vocabulary and dtype, where the two are never needed at once.

    Attributes:
        hidden: [K, D], in the dtype that products run in here.
        head: The LM head, likewise.
        buffer: [k, V], the last chunk's logits.
    """

    def __init__(self, outputs: Unprojected, buffer: Tensor | None = None) -> None:
        low = outputs.to(autocast_dtype(outputs.hidden))
        self.hidden: Tensor = low.hidden.detach()
        self.head = low.head.detach()
        vocab_size = len(self.head.weight)
        size = min(len(self.hidden), max(CHUNK_TOKENS, CHUNK_BYTES // (4 * vocab_size)))
        self.buffer = self.hidden.new_empty(size, vocab_size) if buffer is None else buffer

    def chunks(self) -> Iterator[slice]:
        """The K tokens, a chunk at a time."""
        return _slices(len(self.hidden), max(1, len(self.buffer)))

    def project(self, chunk: slice) -> Tensor:
        """Logits [k, V] of a chunk, to be overwritten at will."""
        hidden = self.hidden[chunk]
        out, weight = self.buffer[: len(hidden)], self.head.weight.T
        if self.head.bias is None:
            return torch.mm(hidden, weight, out=out)
        return torch.addmm(self.head.bias, hidden, weight, out=out)


def blocks(logits: Tensor) -> Iterator[slice]:
    """The rows of a chunk [k, V], a block at a time."""
    # Counted in float32, whatever the logits are in: that is what softmax and divergence are computed in.
    size = CPU_BLOCK_BYTES if logits.device.type == "cpu" else BLOCK_BYTES
    return _slices(len(logits), max(1, size // (4 * logits.shape[1])))


@torch.no_grad()
def logit_blocks(outputs: Unprojected) -> Iterator[tuple[slice, Tensor]]:
    """Goes over a model's K tokens.

    Yields:
        Which tokens, and the logits [k, V] on them in at least float32, to be overwritten at will.
    """
    projected = ChunkedLogits(outputs)
    for chunk in projected.chunks():
        logits = projected.project(chunk)
        for block in blocks(logits):
            yield slice(chunk.start + block.start, chunk.start + block.stop), at_least_float32(logits[block])


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself where it is float32 or float64, else in float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
