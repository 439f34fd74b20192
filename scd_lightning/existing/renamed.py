"""Transformers folders of families that are stored under other names, or in other pieces, than they have in memory."""

from typing import Any, cast

from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM

from scd_lightning.existing.saved import SavedModel


def read_renamed(saved: SavedModel, device: str) -> dict[str, Tensor] | None:
    """The folder's tensors under the names that they have in memory, as transformers itself reads them.

    Args:
        saved: A transformers folder.
        device: "cpu", or "meta" for shapes without contents.

    Returns:
        None where transformers can't read the folder; what it would fill with random numbers is left out.
    """
    try:
        model, info = cast(Any, AutoModelForCausalLM).from_pretrained(
            saved.path, dtype="auto", device_map=device, output_loading_info=True
        )
    except (ImportError, OSError, RuntimeError, ValueError, SafetensorError):
        return None
    tensors: dict[str, Tensor] = model.state_dict()
    if info["unexpected_keys"]:
        return None
    return {name: tensor for name, tensor in tensors.items() if name not in info["missing_keys"]}
