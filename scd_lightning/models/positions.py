"""How long a text may be for a model: by its tables of positions, or by what it was trained on."""

from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel


def most_positions(model: PreTrainedModel) -> int | None:
    """How many tokens a model can be given at all: its tables of positions have no row for more.

    Args:
        model: On whatever device.

    Returns:
        None where positions are computed (rotary ones, ALiBi), for as many tokens as there are.
    """
    stated = getattr(model.config, "max_position_embeddings", None)
    if type(stated) is not int:
        return None
    tokens = (model.get_input_embeddings(), model.get_output_embeddings())
    learned = (layer for layer in model.modules() if isinstance(layer, nn.Embedding) and layer not in tokens)
    # Some begin behind a few rows for padding.
    rows = {layer.num_embeddings - getattr(layer, "offset", 0) for layer in learned}
    # GPT-J's and CTRL's are computed once, for as many.
    rows |= {
        len(table) for name, table in model.named_buffers() if table.dim() == 2 and "pos" in name.rpartition(".")[2]
    }
    return stated if stated in rows else None


def trained_positions(config: PretrainedConfig) -> int | None:
    """How many tokens a model with computed positions was trained for, as far as its configuration tells."""
    stated = getattr(config, "max_position_embeddings", None)
    rotary: Any = getattr(config, "rope_parameters", None)
    if type(stated) is not int or not isinstance(rotary, dict):
        return None
    factor, before = rotary.get("factor"), rotary.get("original_max_position_embeddings")
    if isinstance(factor, int | float) and isinstance(before, int):
        return max(stated, int(factor * before))
    return stated
