"""Tiny models of several families, with weights large enough that every token and position matters."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from scd_lightning.models.tokenizers import train_tokenizer

VOCABULARY = 300
PADDED = 320
_LLAMA_LIKE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_GPT_LIKE = {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.1}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _LLAMA_LIKE),
    "qwen3": ("Qwen3Config", _LLAMA_LIKE | {"head_dim": 8, "tie_word_embeddings": True}),
    "mistral": ("MistralConfig", _LLAMA_LIKE | {"sliding_window": 4}),
    "gemma3": ("Gemma3TextConfig", _LLAMA_LIKE | {"head_dim": 8, "sliding_window": 4}),
    "gpt2": ("GPT2Config", _GPT_LIKE),
    "opt": (
        "OPTConfig",
        {
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
            "dropout": 0.0,
        },
    ),
    "gptj": ("GPTJConfig", _GPT_LIKE | {"rotary_dim": 8}),
    "phi": ("PhiConfig", _LLAMA_LIKE),
    "bloom": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "gemma2": ("Gemma2Config", _LLAMA_LIKE | {"head_dim": 8}),
    "granite": ("GraniteConfig", _LLAMA_LIKE | {"logits_scaling": 8.0}),
    "cohere": ("CohereConfig", _LLAMA_LIKE),
    "mamba": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
}

MakeModel = Callable[..., nn.Module]


@pytest.fixture
def make_model() -> MakeModel:
    """Makes a family's tiny model with a padded vocabulary, in eval mode."""

    def make(family: str, *, dtype: torch.dtype = torch.float64, scale: float = 8.0, **fields: Any) -> nn.Module:
        kind, defaults = FAMILIES[family]
        special = {"vocab_size": PADDED, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
        config = getattr(transformers, kind)(**(special | defaults | fields))
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).to(dtype).eval()
        for name, parameter in model.named_parameters():
            # Fresh weights attend evenly, and biases are zero: nothing would show.
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.1)
            elif parameter.dim() > 1:
                parameter.data.mul_(scale)
        return model

    return make


@pytest.fixture
def counting_model(make_model: MakeModel) -> Any:
    """A bigram model: token t is followed by t - 1, and 2 by EOS, which is 0."""
    model: Any = make_model("llama")
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    embedding = nn.init.orthogonal_(torch.empty(32, 32, dtype=torch.float64))
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()[:32] = embedding
        head = model.get_output_embeddings().weight.zero_()
        head[2:31] = embedding[3:]
        head[0] = embedding[2]
    return model


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of a few merges; EOS is 0 and padding 1."""
    return train_tokenizer(["the answer is in the text, and the text is in the answer"] * 4, VOCABULARY)
