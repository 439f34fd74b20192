"""A model thinned out to some of its layers: a smaller student of the same family and tokenizer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from scd_lightning.errors import ConfigError, ModelError

# Lists of a configuration that are about something else, however many entries they have.
_NO_LAYERS = ("architectures", "token_id", "token_ids")


def layer_indices(keep: int | Sequence[int], layers: int, where: str) -> list[int]:
    """Which layers are kept, in order.

    >>> layer_indices(4, 10, "")
    [0, 3, 6, 9]

    Args:
        keep: How many, evenly spaced with the first and the last among them; or their indices.
        layers: How many the model has.
        where: The part of the configuration, for messages.

    Raises:
        ConfigError: There are not as many, or the indices do not ascend.
    """
    if isinstance(keep, int):
        gaps = max(1, keep - 1)
        # Rounded half up, in whole numbers.
        indices = [(2 * i * (layers - 1) + gaps) // (2 * gaps) for i in range(keep)] if keep <= layers else []
    else:
        indices = list(keep)
    if not indices or indices != sorted(set(indices)) or indices[0] < 0 or indices[-1] >= layers:
        raise ConfigError(
            "The model does not have these layers to keep",
            where=f"{where}.keep_layers",
            got=keep if isinstance(keep, int) else indices,
            expected=f"a number from 1 to {layers}, or ascending indices from 0 to {layers - 1}",
        )
    return indices


def halvings(keep: int | Sequence[int], layers: int, where: str) -> list[list[int]]:
    """The layers that stay after each of several thinnings, each of which leaves half of them, the last those wanted.

    Each has all layers of the next, and is evenly spaced as far as that lets it. The last may leave less than half: a
    thinning that takes less than a third of the layers is not worth one of its own.

    >>> [len(indices) for indices in halvings(7, 30, "")]
    [15, 7]
    >>> halvings([0, 7], 8, "")
    [[0, 2, 5, 7], [0, 7]]

    Args:
        keep: As in `layer_indices`, of which the last has those.
        layers: How many the model has.
        where: The part of the configuration, for messages.

    Returns:
        Ascending indices in the whole model; nothing where all of it is kept.

    Raises:
        ConfigError: It does not have these layers.
    """
    kept, sizes = layer_indices(keep, layers, where), [layers // 2]
    if len(kept) == layers:
        return []
    while 3 * len(kept) <= 2 * sizes[-1]:
        sizes.append(sizes[-1] // 2)
    found = [kept]
    for size in reversed(sizes[:-1]):
        found.append(_with(found[-1], size, layers))
    return found[::-1]


def _with(kept: Sequence[int], size: int, layers: int) -> list[int]:
    """So many layers, some given ones among them: evenly spaced, each that is missing in the place of its nearest."""
    found = layer_indices(size, layers, "")
    for i in [i for i in kept if i not in found]:
        found.remove(min((j for j in found if j not in kept), key=lambda j: abs(i - j)))
        found.append(i)
    return sorted(found)


def thin(model: PreTrainedModel, keep: int | Sequence[int], where: str) -> None:
    """Takes layers out of a model, in place, and out of its configuration, so that it is a model of its own.

    Args:
        model: A causal language model.
        keep: As in `layer_indices`.
        where: The part of the configuration, for messages.

    Raises:
        ConfigError: It does not have these layers.
        ModelError: Its layers are not one list.
    """
    config, body = model.config, model.base_model
    before = config.num_hidden_layers
    indices = layer_indices(keep, before, where)
    lists = [(n, m) for n, m in body.named_children() if isinstance(m, nn.ModuleList) and len(m) == before]
    if len(lists) != 1:
        raise _no_plain_layers(where, f"{len(lists)} lists of {before} layers in {type(body).__name__}")
    name, layers = lists[0]
    setattr(body, name, nn.ModuleList(layers[i] for i in indices))
    module: Any
    for place, i in enumerate(indices):
        for module in layers[i].modules():
            # Its row of the key-value cache.
            if hasattr(module, "layer_idx"):
                module.layer_idx = place
    for field, value in config.to_dict().items():
        if isinstance(value, list | tuple) and len(value) == before and not field.endswith(_NO_LAYERS):
            setattr(config, field, [value[i] for i in indices])
    config.num_hidden_layers = len(indices)


def check_thinned(model: PreTrainedModel, where: str) -> None:
    """Holds a thinned model against a fresh one of its configuration, which is how others will load it.

    Raises:
        ModelError: They have different parameters: layers of this family differ in more than their place.
    """
    if different := unlike_fresh(model):
        raise _no_plain_layers(where, f"{len(different)} parameters that depend on the place, such as {different[0]}")


def unlike_fresh(model: PreTrainedModel) -> list[str]:
    """Names of the parameters that a fresh model of the same configuration lacks, has more, or has in another shape."""
    with torch.device("meta"):
        fresh = type(model)(model.config)
    found, expected = ({n: p.shape for n, p in m.named_parameters()} for m in (model, fresh))
    return sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))


def _no_plain_layers(where: str, got: str) -> ModelError:
    return ModelError(
        "The model can't be thinned out",
        where=f"{where}.keep_layers",
        got=got,
        expected="one list of layers of one kind",
        remedy="choose a model of another family (Llama, Qwen, SmolLM, Mistral, ...)",
    )
