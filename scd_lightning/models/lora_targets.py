"""Which layers low-rank adapters may stand on."""

import re
import warnings
from textwrap import shorten
from typing import Any, cast

from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from scd_lightning.errors import ConfigError
from scd_lightning.models.modalities import unread_layers
from scd_lightning.models.spec import ModelSpec, StudentSpec
from scd_lightning.models.weight_files import first_few

# GPT-2's is one that has its weights turned round.
_LINEAR = (nn.Linear, Conv1D)


def add_adapters(model: PreTrainedModel, spec: ModelSpec) -> PeftModel:
    """Puts a model's adapters on it, in place.

    Args:
        model: The model, on whatever device.
        spec: What it is, with adapters.

    Raises:
        ConfigError: A name matches no layer, or a layer can't have adapters; or they would stand on a head.
    """
    lora = spec.lora
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha or 2 * lora.r,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        exclude_modules=unread_layers(model, _LINEAR) or None,
        task_type="CAUSAL_LM",
    )
    possible = _linear_layers(model)
    try:
        with warnings.catch_warnings():
            # Of adapters on tied layers: those that it matters to are refused below.
            warnings.filterwarnings("ignore", ".*ensure_weight_tying.*")
            adapted = get_peft_model(model, config)
    except (ValueError, re.error) as error:
        # What follows is a list of all that peft knows, or the layer with all that is in it.
        reason = shorten(str(error).partition(". ")[0], 160, placeholder=" ...")
        raise _refused(spec, f"The adapters can't be made ({reason})", lora.target_modules, possible) from error
    _check_names(adapted, spec, possible)
    _check_layers(adapted, spec)
    return adapted


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """The last parts of the names of a model's linear layers, its head apart; in the model's order."""
    head = model.get_output_embeddings()
    layers = (name for name, layer in model.named_modules() if isinstance(layer, _LINEAR) and layer is not head)
    return list(dict.fromkeys(name.rpartition(".")[2] for name in layers))


def _check_names(model: PeftModel, spec: ModelSpec, possible: list[str]) -> None:
    """Of a list of which one name matches, peft leaves out the others in silence."""
    if isinstance(spec.lora.target_modules, str):
        return
    found = cast(Any, model.base_model).targeted_module_names
    idle = [each for each in spec.lora.target_modules if not any(f".{name}".endswith(f".{each}") for name in found)]
    if idle:
        raise _refused(spec, "The model has no such layers to put adapters on", first_few(idle, 4), possible)


def _refused(spec: ModelSpec, what: str, got: object, possible: list[str]) -> ConfigError:
    return ConfigError(
        what,
        where=f"{spec.role}.lora.target_modules",
        got=got,
        expected=f"all-linear, or some of {first_few(possible, 12)}",
    )


def _check_layers(model: PeftModel, spec: ModelSpec) -> None:
    """Refuses adapters on the head, and such as would change the head once they are merged."""
    base = cast(PreTrainedModel, model.get_base_model())
    layers = {name: layer for name, layer in base.named_modules() if isinstance(layer, BaseTunerLayer)}
    head, tables = base.get_output_embeddings(), _shared(base)
    for name, layer in layers.items():
        own = layer.get_base_layer()
        if layer is head or own is head:
            raise _no_adapters(spec, name, "The LM head can't have adapters: hidden states could not stand for logits")
        # Those of a teacher are never merged.
        if isinstance(spec, StudentSpec) and id(getattr(own, "weight", None)) in tables:
            others = " and ".join(other for other in tables[id(own.weight)] if not other.startswith(f"{name}."))
            what = f"Adapters on a layer whose weights are also those of {others} would change both once merged"
            raise _no_adapters(spec, name, what)


def _shared(base: nn.Module) -> dict[int, list[str]]:
    """The names of each parameter that has several, by its identity."""
    names: dict[int, list[str]] = {}
    for name, parameter in base.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {key: found for key, found in names.items() if len(found) > 1}


def _no_adapters(spec: ModelSpec, name: str, what: str) -> ConfigError:
    last = name.rpartition(".")[2]
    return ConfigError(
        what,
        where=f"{spec.role}.lora.target_modules",
        got=name,
        remedy=f"leave {last} out of {spec.role}.lora.target_modules; all-linear has neither head nor embeddings",
    )


def own_parameters(model: nn.Module) -> int:
    """How many weights a model has, its adapters left out."""
    return sum(weights.numel() for name, weights in model.named_parameters() if "lora_" not in name)
