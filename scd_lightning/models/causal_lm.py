"""One view of every causal language model: hidden states first, then the completion positions, then the head."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from transformers import DynamicCache, PretrainedConfig, PreTrainedModel
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.errors import ModelError
from scd_lightning.lm_head import LMHead, Unprojected


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
        self._scale = logit_scale(self.base.config.get_text_config())

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Lightning too converts a model, whole, before each of its loops."""
        with computed_exactly(self):
            return super()._apply(fn, recurse)

    @property
    def base(self) -> PreTrainedModel:
        """The transformers model, without the peft wrapper."""
        return cast(PreTrainedModel, self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model)

    @property
    def body(self) -> nn.Module:
        """The layers below the head."""
        return self.base.base_model

    @property
    def sharded(self) -> bool:
        """Whether its weights are cut over processes, which then make every forward pass together."""
        return isinstance(self, FSDPModule)

    @property
    def head(self) -> LMHead:
        """The head's live weights, cut to the tokenizer's length.

        Of a sharded model, they are put together, by all processes, and hold until its next step or load.
        """
        if isinstance(self, FSDPModule):
            self.unshard()
        layer = cast(nn.Linear, self.base.get_output_embeddings())
        bias = getattr(layer, "bias", None)
        # A slice's gradient would be made anew in each step, as large as the whole.
        if len(layer.weight) == self.vocab_size:
            return LMHead(layer.weight, bias)
        return LMHead(layer.weight[: self.vocab_size], None if bias is None else bias[: self.vocab_size])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, **inputs: Any) -> Tensor:
        """Last hidden states [B, T, D]; whatever needs the body comes through here, where sharding has its hooks.

        Where a model multiplies its logits by a number, they are multiplied by it: the head makes the same logits then.
        """
        output: Tensor = self.body(**inputs).last_hidden_state
        return output if self._scale == 1 else output * self._scale

    def hidden(self, batch: Batch, cache: DynamicCache | None = None) -> Tensor:
        """Hidden states [K, D] that predict the batch's completion tokens.

        Args:
            batch: The batch.
            cache: An empty one keeps what was read: keys and values of all T positions, padded on the right.
        """
        return self.read(batch.input_ids, cache).flatten(0, 1)[batch.positions]

    def read(self, input_ids: Tensor, cache: DynamicCache | None = None) -> Tensor:
        """Hidden states [B, T, D] of tokens padded on the right, which are the first that an empty cache is given."""
        # No mask: padding stands on the right, where no earlier token of a causal model sees it. A mask would cost
        # its making and rule out the fastest attention kernels.
        hidden: Tensor = self(input_ids=input_ids, past_key_values=cache, use_cache=cache is not None)
        return hidden

    def outputs(self, batch: Batch, cache: DynamicCache | None = None) -> Unprojected:
        """What the head makes logits of; the cache is as in `hidden`."""
        return Unprojected(self.hidden(batch, cache), self.head)

    def logits(self, batch: Batch) -> Tensor:
        """Logits [K, V] of the batch's completion tokens."""
        return self.head(self.hidden(batch))

    def extend(self, input_ids: Tensor, attention_mask: Tensor, cache: DynamicCache) -> Tensor:
        """Hidden states [B, T, D] of tokens that follow what a key-value cache holds; they are added to it.

        Args:
            input_ids: [B, T], the new tokens.
            attention_mask: [B, P + T], over the cache's P positions too; 0 on padding, on either side.
            cache: A plain `DynamicCache()`, which keeps every key. One made for a sliding-window configuration drops
                keys by their place, and padding takes places.
        """
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -input_ids.shape[1] :]
        hidden: Tensor = self(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        return hidden

    def joint_passes(self, own: int) -> int:
        """How many forward passes are to be made where this process wants a number of its own.

        All processes of a sharded model make each pass together, so as many as any of them wants.
        """
        return distributed.max_over_ranks(own) if self.sharded else own

    @torch.no_grad()
    def join_forward_passes(self) -> None:
        """A forward pass for the sake of other processes, which make one of theirs."""
        self(input_ids=torch.zeros((1, 1), dtype=torch.long, device=self.device), use_cache=False)

    @torch.no_grad()
    def check_head(self, name: str) -> None:
        """Refuses a model that this view of it would get wrong.

        Raises:
            ModelError: Its logits are more than its head on its last hidden states, as with soft-capping, its head is
                adapted, or a key-value cache changes its hidden states.
        """
        ids = torch.arange(8, device=self.device).remainder(self.vocab_size).unsqueeze(0)
        was_training = self.training
        self.eval()
        try:
            self._check_cache(ids, name)
            self._check_logits(ids, name)
        finally:
            self.train(was_training)

    def _check_logits(self, ids: Tensor, name: str) -> None:
        layer = self.base.get_output_embeddings()
        if not isinstance(layer, nn.Linear):
            raise ModelError(
                "The LM head is not a plain linear layer, so that hidden states can't stand for logits",
                where=name,
                got=type(layer).__name__ if layer is not None else "no LM head",
                remedy="choose a causal language model, and leave its head out of lora.target_modules",
            )
        # Fresh weights make logits so small that soft-capping hides in the rounding: a hook puts large ones in.
        logits = torch.linspace(-100, 100, layer.out_features, device=self.device, dtype=layer.weight.dtype)
        heads_own = self.base(input_ids=ids, use_cache=False).logits[..., : self.vocab_size]
        with layer.register_forward_hook(lambda *_: logits.expand(*ids.shape, -1)):
            after = self.base(input_ids=ids, use_cache=False).logits[0, 0]
        found, logits = self.head(self(input_ids=ids, use_cache=False)), logits * self._scale
        if not (_close(found, heads_own) and _close(after, logits)):
            difference = max(float((found - heads_own).abs().max()), float((after - logits).abs().max()))
            raise ModelError(
                f"The logits of {name} are not its LM head on its hidden states",
                where=name,
                got=f"a largest difference of {difference:.3g}",
                expected="equal logits (no soft-capping after the head, and no scaling but Granite's and Cohere's)",
                remedy="choose a model of another family (Llama, Qwen, SmolLM, Mistral, ...)",
            )

    def _check_cache(self, ids: Tensor, name: str) -> None:
        mask, cache = torch.ones_like(ids), DynamicCache()
        got: object = "other hidden states with a cache than without"
        try:
            parts = [self.extend(ids[:, :5], mask[:, :5], cache), self.extend(ids[:, 5:], mask, cache)]
            if _close(torch.cat(parts, dim=1), self(input_ids=ids, use_cache=False)):
                return
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            got = error
        raise ModelError(
            "The model can't be run with a plain key-value cache, which answers are made with",
            where=name,
            got=got,
            expected="attention layers only, with position ids",
            remedy="choose a model of another family (Llama, Qwen, SmolLM, Mistral, ...)",
        )


def logit_scale(config: PretrainedConfig) -> float:
    """What a model multiplies its logits by: Granite divides them, Cohere has a factor; 1 of all others."""
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        return 1 / float(divisor)
    factor = getattr(config, "logit_scale", None)
    return 1.0 if factor is None else float(factor)


def check_family(config: PretrainedConfig, where: str, got: str) -> None:
    """Refuses by its config.json what `check_head` would refuse once all weights are there.

    Args:
        config: That of the model, or of its text part.
        where: The argument that names the model, for messages.
        got: The model.

    Raises:
        ModelError: Its logits are soft-capped, or its layers are recurrent.
    """
    recurrent = {"linear_attention", "mamba", "mamba2", "recurrent"} & set(getattr(config, "layer_types", None) or ())
    if getattr(config, "final_logit_softcapping", None) is not None:
        what = "The model's logits are soft-capped, so that hidden states can't stand for them"
    elif recurrent:
        what = f"The model has recurrent layers ({', '.join(sorted(recurrent))}), which answers can't be made with here"
    else:
        return
    raise ModelError(
        what,
        where=where,
        got=f"{got} ({config.model_type})",
        expected="attention layers, and a head without soft-capping",
        remedy="choose a model of another family (Llama, Qwen 3, SmolLM, Mistral, Gemma 3, ...)",
    )


def _close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal up to what reordered sums may change in their precision."""
    tolerance = torch.finfo(found.dtype).eps ** 0.5 * expected.abs().max()
    return bool((found - expected).abs().max() <= tolerance)


@contextmanager
def computed_exactly(model: nn.Module) -> Iterator[None]:
    """Leaves what a model computes by itself, as rotary frequencies, as exact as it is while weights are converted.

    A model that is loaded again has it so: of frequencies in half precision, distant positions would be others.
    """
    computed = [
        (module, name, tensor)
        for module in model.modules()
        for name, tensor in module.named_buffers(recurse=False)
        if name in module._non_persistent_buffers_set and tensor.is_floating_point()
    ]
    yield
    for module, name, tensor in computed:
        converted = getattr(module, name)
        if converted.itemsize < tensor.itemsize:
            setattr(module, name, tensor.to(converted.device))
