"""Callbacks that only watch a training: its numbers do not depend on them, and those of one's own are held to that."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch import callbacks
from torch import Tensor

from scd_lightning.errors import ConfigError
from scd_lightning.training.callbacks.hooks import wrapped

# Lightning's own, themselves and not what is derived from them.
_OF_LIGHTNING = (
    *(callbacks.DeviceStatsMonitor, callbacks.LearningRateMonitor, callbacks.ThroughputMonitor),
    *(callbacks.ModelSummary, callbacks.RichModelSummary),
    *(callbacks.ProgressBar, callbacks.RichProgressBar, callbacks.TQDMProgressBar),
    *(callbacks.Checkpoint, callbacks.ModelCheckpoint, callbacks.OnExceptionCheckpoint),
)
# What a class of one's own has, and has as True, where it only watches.
DECLARED = "only_watches"
# What says how long a trainer trains, when it validates, and what it does to gradients.
_COURSE = (
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "limit_train_batches", "limit_val_batches"),
    *("val_check_interval", "check_val_every_n_epoch", "accumulate_grad_batches"),
    *("gradient_clip_val", "gradient_clip_algorithm"),
)
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
C = TypeVar("C", bound=Callback)


def only_watches(kind: object, arguments: Mapping[str, Any]) -> bool:
    """Whether a callback only watches: one of Lightning's that does, or one of one's own whose class says so.

    Args:
        kind: Its class.
        arguments: What it is made with.
    """
    if kind is callbacks.Timer:  # With a duration it ends trainings.
        return arguments.get("duration") is None
    return kind in _OF_LIGHTNING or _declares(kind)


def _declares(kind: object) -> bool:
    return getattr(kind, DECLARED, False) is True


def held_to_it(callback: C) -> C:
    """The callback; if its class says that it only watches, each of its hooks is held to that.

    Not seen is what a hook of torch's that it has registered does later, in the middle of a pass.
    """
    return wrapped(callback, _watched, besides=("on_exception",)) if _declares(type(callback)) else callback


def _watched(hook: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(hook)
    def call(trainer: Trainer, module: LightningModule, *args: Any, **kwargs: Any) -> Any:
        before = _state(trainer, module, args)
        result = hook(trainer, module, *args, **kwargs)
        after = _state(trainer, module, args)
        if changed := [what for what in before if before[what] != after[what]]:
            raise ConfigError(
                "A callback that says it only watches has changed the training",
                where=f"callbacks, {name}",
                got=f"changed: {', '.join(changed)}",
                expected=f"with {DECLARED} = True, a class that leaves all of it as it was",
                remedy=f"take {DECLARED} from the class: what is trained with it is then kept apart in the store",
            )
        return result

    return call


def _state(trainer: Trainer, module: LightningModule, args: Sequence[Any]) -> dict[str, Any]:
    """What a training goes on from, by the names of messages."""
    parameters = list(module.parameters())
    groups = [group for each in trainer.optimizers for group in each.param_groups]
    return {
        "parameters": _sums([*parameters, *module.buffers()]),
        "gradients": [parameter.grad is None for parameter in parameters]
        + _sums([parameter.grad for parameter in parameters if parameter.grad is not None]),
        "which parameters are trained": [parameter.requires_grad for parameter in parameters],
        "the loss or the batch": _sums(_tensors(args)),
        "the optimizer's state": _sums(_tensors([each.state for each in trainer.optimizers])),
        "the optimizer's settings": [
            {name: str(value) for name, value in group.items() if name != "params"} for group in groups
        ],
        "whether layers are in training mode": [each.training for each in module.modules()],
        "torch's random state": _random_states(module.device),
        "the schedule of the learning rate": [
            str(each.scheduler.state_dict()) for each in trainer.lr_scheduler_configs
        ],
        "the trainer's settings": [getattr(trainer, name) for name in _COURSE],
        "what the module trains with": {
            name: value if isinstance(value, str | int | float) else id(value)
            for name, value in vars(module).items()
            if not name.startswith("_")
        },
        "whether the training goes on": trainer.should_stop,
    }


def _random_states(device: torch.device) -> list[bytes]:
    states = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
    return [state.numpy().tobytes() for state in states]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _tensors(getattr(value, each.name))


def _sums(tensors: Sequence[Tensor] | Iterator[Tensor]) -> list[int]:
    """The sum of each tensor's bits, as whole numbers: one more of anything shows, and NaN equals itself."""
    sums = [_sum(tensor) for tensor in tensors if tensor.numel()]
    return torch.stack([each.cpu() for each in sums]).tolist() if sums else []


@torch.no_grad()
def _sum(tensor: Tensor) -> Tensor:
    local = getattr(tensor, "to_local", lambda: tensor)()  # This process's part, where it is cut over processes.
    if local.dtype == torch.bool or not (local.is_floating_point() or local.dtype in _INTEGERS.values()):
        local = local.to(torch.int64)
    return local.contiguous().view(_INTEGERS[local.element_size()]).sum(dtype=torch.int64)
