"""Frozen base weights in 8 or 4 bits below LoRA adapters, by whichever package can do it here."""

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig, TorchAoConfig

from scd_lightning.errors import ConfigError
from scd_lightning.models.spec import ModelSpec


def quantizing_package(spec: ModelSpec) -> str:
    """Which package quantizes a model on this machine.

    Raises:
        ConfigError: None of those that could is installed.
    """
    # The better one first. torchao has no 4 bits that train and save memory without further packages; bitsandbytes's
    # 8 bits are half-precision arithmetic, too coarse for a CPU's float32.
    usable: tuple[str, ...] = ("bitsandbytes", "torchao") if torch.cuda.is_available() else ("torchao",)
    if spec.quantization == "4bit":
        usable = ("bitsandbytes",)
    for package in usable:
        if find_spec(package) is not None:
            return package
    raise ConfigError(
        "Quantized weights need a package that is not installed",
        where=f"{spec.role}.quantization",
        got=spec.quantization,
        expected=" or ".join(usable),
        remedy=f"python -m pip install {usable[0]}",
    )


def quantization_identity(spec: ModelSpec) -> dict[str, str] | None:
    """What the quantized weights depend on, for a digest."""
    if spec.quantization is None:
        return None
    package = quantizing_package(spec)
    return {"bits": spec.quantization, "package": package, "version": version(package)}


def quantization_config(spec: ModelSpec, dtype: torch.dtype) -> Any:
    """What transformers' `from_pretrained` takes to quantize, or None.

    Args:
        spec: The model.
        dtype: Of the arithmetic.
    """
    if spec.quantization is None:
        return None
    if quantizing_package(spec) == "torchao":
        from torchao.quantization import Int8WeightOnlyConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    if spec.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
