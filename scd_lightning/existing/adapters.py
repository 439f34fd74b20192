"""What a peft folder says of its adapters, as ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.foreign import read_json
from scd_lightning.models.spec import LoRA

CONFIG = "adapter_config.json"
# Fields that change nothing of what fine-tuned adapters compute, and those that are looked at by themselves.
_NEUTRAL = {"task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"}
_NEUTRAL |= {"fan_in_fan_out", "r", "lora_alpha", "lora_dropout", "target_modules", "peft_type", "init_lora_weights"}
# Other ways of starting adapters change the frozen weights below them, which the folder does not hold.
_STARTS = (None, True, False, "gaussian", "orthogonal")
_REMEDY = (
    "merge the adapters into their base model (merge_and_unload), save each as a transformers folder, "
    "and take those folders"
)


@dataclass(frozen=True)
class Adapter:
    """The adapters of a peft folder.

    Attributes:
        lora: What they are.
        base: Name of the model that they were trained on, where the folder tells.
    """

    lora: LoRA
    base: str | None


def read_adapter(folder: Path) -> Adapter:
    """Reads a folder's adapter_config.json.

    Raises:
        ModelError: It can't be read, these are no LoRA adapters, or ones of a variant that is not built here.
    """
    path = folder / CONFIG
    config = read_json(path)
    if config.get("peft_type") != "LORA":
        raise ModelError(
            "The adapters are of another kind", where=path, got=config.get("peft_type"), expected="LORA", remedy=_REMEDY
        )
    _refuse_variants(config, path)
    try:
        targets = config["target_modules"]
        lora = LoRA(
            r=config["r"],
            alpha=config["lora_alpha"],
            dropout=config.get("lora_dropout", 0.0),
            target_modules=targets if isinstance(targets, str) else sorted(targets),
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"The adapters' configuration lacks a value ({error})", where=path) from error
    except ConfigError as error:
        raise ModelError(
            error.what, where=f"{error.where} in {path}", got=error.got, expected=error.expected
        ) from error
    return Adapter(lora, config.get("base_model_name_or_path"))


def _refuse_variants(config: Mapping[str, Any], path: Path) -> None:
    """Whatever else the configuration asks for, rank patterns, DoRA or trained modules, would be left out silently."""
    usual = LoraConfig().to_dict()
    odd = {k: v for k, v in config.items() if k not in _NEUTRAL and v and v != usual.get(k)}
    if config.get("init_lora_weights") not in _STARTS:
        odd["init_lora_weights"] = config["init_lora_weights"]
    if odd:
        raise ModelError(
            "The adapters are more than plain LoRA, and would compute something else here",
            where=path,
            got=", ".join(f"{name}={value}" for name, value in sorted(odd.items())),
            expected="r, lora_alpha, lora_dropout and target_modules alone",
            remedy=_REMEDY,
        )
