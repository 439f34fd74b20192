"""The last layer of a language model by itself: hidden states travel, and are projected where it is needed."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
        own = self.detach()
        return LMHead(own.weight.clone(), None if own.bias is None else own.bias.clone())

    def detach(self) -> "LMHead":
        """The same weights, not to be differentiated by."""
        return LMHead(self.weight.detach(), None if self.bias is None else self.bias.detach())

    def to(self, dtype: torch.dtype) -> "LMHead":
        """The same in another dtype."""
        return LMHead(self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))


@dataclass(frozen=True)
class Unprojected:
    """A model's outputs on K completion tokens before its LM head: a head's width instead of a vocabulary's.

    Attributes:
        hidden: [K, D].
        head: The LM head.
    """

    hidden: Tensor
    head: LMHead

    def logits(self) -> Tensor:
        """Logits [K, V]."""
        return self.head(self.hidden)

    def to(self, dtype: torch.dtype) -> "Unprojected":
        """The same in another dtype."""
        return Unprojected(self.hidden.to(dtype), self.head.to(dtype))
