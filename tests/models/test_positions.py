"""How long a text may be: the number is held against what the models themselves take."""

from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM

from scd_lightning.models.positions import most_positions, trained_positions

SPECIAL: dict[str, Any] = {"vocab_size": 60, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
GPT: dict[str, Any] = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 20}
LIKE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 20,
}
TABLES: dict[str, dict[str, Any]] = {
    "GPT2": GPT,
    "GPTBigCode": GPT,
    "OpenAIGPT": GPT,
    "GPTJ": GPT | {"rotary_dim": 4},
    "CTRL": GPT | {"dff": 16},
    "OPT": LIKE | {"ffn_dim": 16, "word_embed_proj_dim": 16},
    "GPTNeo": {"hidden_size": 16, "num_heads": 2, "num_layers": 2, "attention_types": [[["global", "local"], 1]]}
    | {"max_position_embeddings": 20},
    "BioGpt": LIKE | {"intermediate_size": 16},
}
COMPUTED: dict[str, dict[str, Any]] = {
    "Llama": LIKE | {"intermediate_size": 16},
    # As wide as it has positions: a table of positions is none of its layers.
    "Qwen3": LIKE | {"intermediate_size": 20, "hidden_size": 20, "head_dim": 4, "num_key_value_heads": 2},
    "Bloom": {"hidden_size": 16, "n_layer": 1, "n_head": 2},
    "XGLM": {"d_model": 16, "num_layers": 1, "attention_heads": 2, "ffn_dim": 16, "max_position_embeddings": 20},
}


def model(family: str, fields: dict[str, Any]) -> Any:
    config = getattr(transformers, f"{family}Config")(**SPECIAL, **fields)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def takes(model: nn.Module, tokens: int) -> bool:
    try:
        with torch.no_grad():
            model(input_ids=torch.arange(tokens).unsqueeze(0) + 2)
    except (IndexError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize("family", TABLES)
def test_what_has_a_table_takes_as_many_and_no_more(family):
    made = model(family, TABLES[family])
    with torch.device("meta"):
        most = most_positions(AutoModelForCausalLM.from_config(made.config))
    assert most is not None
    assert takes(made, most)
    assert not takes(made, most + 1)


@pytest.mark.parametrize("family", COMPUTED)
def test_what_computes_them_takes_more(family):
    made = model(family, COMPUTED[family])
    assert most_positions(made) is None
    assert takes(made, 50)


def test_what_rotary_models_were_trained_for():
    plain = LIKE | {"intermediate_size": 16}
    assert trained_positions(transformers.LlamaConfig(**SPECIAL, **plain)) == 20
    stretched = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 20}
    assert trained_positions(transformers.LlamaConfig(**SPECIAL, **plain, rope_parameters=stretched)) == 80
    assert trained_positions(transformers.BloomConfig(**SPECIAL)) is None
