"""One view of every causal language model: hidden states first, then the completion positions, then the head."""

from typing import cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from scd_lightning.batch import Batch
from scd_lightning.errors import ModelError
from scd_lightning.teachers.source import LMHead


class CausalLM(nn.Module):
    """A transformers model split into its body and its LM head.

    The head is applied to completion positions alone: projecting the prompt's positions to the vocabulary is
    the largest avoidable cost of fine-tuning and distillation.

    Args:
        model: A causal language model, or a peft model around one.
        vocab_size: Length V of the tokenizer. Logits past it belong to a padded vocabulary and are cut.
    """

    def __init__(self, model: nn.Module, vocab_size: int) -> None:
        super().__init__()
        self.model = model
        self.vocab_size = vocab_size

    @property
    def base(self) -> PreTrainedModel:
        """The transformers model, without the peft wrapper."""
        return cast(PreTrainedModel, self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model)

    @property
    def body(self) -> nn.Module:
        """The layers below the head."""
        return self.base.base_model

    @property
    def head(self) -> LMHead:
        """The head's live weights, cut to the tokenizer's length."""
        layer = cast(nn.Linear, self.base.get_output_embeddings())
        bias = getattr(layer, "bias", None)
        return LMHead(layer.weight[: self.vocab_size], None if bias is None else bias[: self.vocab_size])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [K, D] that predict the batch's completion tokens."""
        output = self.body(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)
        return output.last_hidden_state.flatten(0, 1)[batch.positions]

    def logits(self, batch: Batch) -> Tensor:
        """Logits [K, V] of the batch's completion tokens."""
        return self.head(self.hidden(batch))

    @torch.no_grad()
    def check_head(self, name: str) -> None:
        """Refuses a model whose logits are more than its head on its last hidden states (soft-capping, scaling).

        Raises:
            ModelError: The two differ on a short input.
        """
        ids = torch.arange(8, device=self.device).remainder(self.vocab_size).unsqueeze(0)
        was_training = self.training
        self.eval()
        expected = self.base(input_ids=ids, use_cache=False).logits[0, :, : self.vocab_size].float()
        found = self.head(self.body(input_ids=ids, use_cache=False).last_hidden_state[0]).float()
        self.train(was_training)
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise ModelError(
                f"The logits of {name} are not its LM head on its hidden states",
                where=name,
                got=f"a largest difference of {(found - expected).abs().max():.3g}",
                expected="equal logits (no soft-capping or scaling after the head)",
                remedy="choose a model of another family (Llama, Qwen, SmolLM, Mistral, ...)",
            )
