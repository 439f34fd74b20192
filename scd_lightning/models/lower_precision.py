"""A model's weights in fewer bits: 16-bit floats, or 8-bit integers with a scale for each output channel."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import CompressedTensorsConfig, PreTrainedModel

from scd_lightning.errors import ConfigError
from scd_lightning.models.foreign import read_json
from scd_lightning.models.older_readers import add_older_names
from scd_lightning.store.manifest import open_as_its_folder

Precision = Literal["bfloat16", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float16", "int8")
_BITS = 8
# Rounding 8-bit integers leaves the rest, embeddings and norms, in this.
_REST = torch.bfloat16


def check_precision(precision: Precision, where: str) -> None:
    """Makes sure that weights can be written so here.

    Raises:
        ConfigError: A package is not installed.
    """
    if precision == "int8" and find_spec("compressed_tensors") is None:
        raise ConfigError(
            "8-bit weights need a package that is not installed",
            where=where,
            got=precision,
            expected="compressed-tensors",
            remedy="python -m pip install compressed-tensors",
        )


def reading_of(folder: Path, where: str) -> dict[str, Any]:
    """What `read_model` takes besides, to read a folder of `write_lower`: integers are made floats while loading.

    Raises:
        ConfigError: A package is not installed.
    """
    how = read_json(folder / "config.json").get("quantization_config") or {}
    if how.get("quant_method") != "compressed-tensors":
        return {}
    check_precision("int8", where)
    return {"quantization_config": CompressedTensorsConfig(run_compressed=False)}


def write_lower(model: PreTrainedModel, precision: Precision, folder: Path) -> None:
    """Writes weights and configuration as a transformers folder; the model is of no further use.

    8-bit weights are those of linear layers, the head apart, in the form of compressed-tensors, which transformers and
    vLLM read: symmetric, rounded to the nearest. No text is needed for that.

    Args:
        model: The model.
        precision: What the weights become.
        folder: Where to; it is there, and empty.
    """
    finish: Callable[[], None] | None = None
    if precision == "int8":
        nn.Module.to(model, _REST)  # The method of transformers hides its types.
        finish = _round_to_integers(model, folder)
    else:
        nn.Module.to(model, getattr(torch, precision))
    model.save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        open_as_its_folder(file)
    if finish is not None:
        finish()
    add_older_names(folder, model.config)


def _round_to_integers(model: PreTrainedModel, folder: Path) -> Callable[[], None]:
    """Rounds the weights of linear layers.

    Returns:
        What is to be called once the model is saved: config.json then says how the weights are to be read.
    """
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        QuantizationStatus,
        apply_quantization_config,
    )
    from compressed_tensors.quantization.utils import calculate_qparams

    how = QuantizationArgs(num_bits=_BITS, type="int", symmetric=True, strategy="channel")
    heads = [name for name, module in model.named_modules() if module is model.get_output_embeddings()]
    config = QuantizationConfig(
        config_groups={"weights": QuantizationScheme(targets=["Linear"], weights=how)},
        ignore=heads,
        format="pack-quantized",
        quantization_status=QuantizationStatus.INITIALIZED,
    )
    apply_quantization_config(model, config)
    chosen = (each for each in model.modules() if getattr(each, "quantization_scheme", None) is not None)
    module: Any
    for module in chosen:
        lowest, highest = module.weight.aminmax(dim=1, keepdim=True)
        scale, _ = calculate_qparams(lowest, highest, how)
        module.weight_scale.data.copy_(scale)
        module.quantization_status = QuantizationStatus.FROZEN
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    return lambda: compressor.update_config(str(folder))
