"""Parts of a model that no text goes through: its towers for pictures and sound, beside the language model."""

from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

_OTHERS = ("vision_config", "audio_config")


def freeze_unread(model: PreTrainedModel) -> None:
    """Has what reads pictures or sound stay as it is, in place: it gets no gradient, which DDP would wait for."""
    parameters = dict(model.named_parameters())
    for name in _unread(model, parameters):
        parameters[name].requires_grad_(False)


def unread_layers(model: PreTrainedModel, kinds: tuple[type[nn.Module], ...]) -> list[str]:
    """The names of the layers of some kinds that no text goes through."""
    return _unread(model, [name for name, layer in model.named_modules() if isinstance(layer, kinds)])


def _unread(model: PreTrainedModel, names: Iterable[str]) -> list[str]:
    if not any(getattr(model.config, other, None) is not None for other in _OTHERS):
        return []
    read = [id(part) for part in (model.get_decoder(), model.get_output_embeddings(), model.get_input_embeddings())]
    places = [place for place, module in model.named_modules() if id(module) in read]
    return [name for name in names if not any(f"{name}.".startswith(f"{place}.") for place in places)]
