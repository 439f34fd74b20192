"""What becomes of each argument of Lightning's Trainer: honoured everywhere, or refused with the way that works here.

It is decided from plain values, so that it is said before any framework is loaded.
"""

import difflib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scd_lightning.config.checks import require_at_least, require_wait
from scd_lightning.errors import ConfigError


@dataclass(frozen=True)
class Honoured:
    """An argument that users set.

    Attributes:
        fits: Whether a value can be used.
        expected: Which ones can, in words.
        why: Why no value changes a number; empty where one may.
    """

    fits: Callable[[Any], bool]
    expected: str
    why: str = ""


@dataclass(frozen=True)
class Ours:
    """An argument whose matter is settled here in another way.

    Attributes:
        remedy: That way.
        harmless: Values that ask for what happens anyway. So does null, always.
    """

    remedy: str
    harmless: tuple[object, ...] = ()


def _is_one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: any(_same(value, each) for each in values)


def _same(value: object, other: object) -> bool:
    """Whether they are one value: of a limit, 1 is one batch and 1.0 is all of them."""
    return type(value) is type(other) and value == other


def _counts(value: Any) -> bool:
    return type(value) is int and value >= 1


def _clips(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _is_interval(value: Any) -> bool:
    return _counts(value) or (type(value) is float and 0 < value <= 1)


def _is_call_or(*names: str) -> Callable[[Any], bool]:
    """Whether a value is one of the names or, as a configuration has it or made already, an object."""
    return lambda value: value in names if isinstance(value, str) else not isinstance(value, bool | int | float)


_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")
_PRECISIONS = ("32-true", "32", "64-true", "64", "bf16-mixed", "bf16", "16-mixed", "16", "bf16-true", "16-true")
_PROFILERS = ("simple", "advanced", "pytorch")
_LENGTH = "teacher.epochs, and budget.stages and budget.stage_epochs or budget.samples; debug=smoke tries a run out"
_FEWER = (
    "task.data.max_samples=200 or 'task.data.max_samples={train: 500, validation: 100, test: 100}'; debug=smoke "
    "tries a run out"
)
_CALLBACK = "'+callbacks.NAME={_target_: lightning.pytorch.callbacks.CLASS, _partial_: true, ARGUMENT: ...}'"

OPTIONS: Mapping[str, Honoured | Ours] = {
    "accelerator": Honoured(_is_one_of(*_ACCELERATORS), ", ".join(_ACCELERATORS), "says where the work is done"),
    "strategy": Honoured(
        _is_call_or(*_STRATEGIES),
        f"{', '.join(_STRATEGIES)}, or as conf/trainer/ddp.yaml has it",
        "says where the work is done; of what is more than that, trainer_numbers knows",
    ),
    "devices": Honoured(_counts, "1 or more", "training/fine_tuning.py:loss_share divides by the whole step's samples"),
    "num_nodes": Honoured(_counts, "1 or more", "as devices"),
    "precision": Honoured(lambda value: str(value) in _PRECISIONS, ", ".join(_PRECISIONS)),
    "gradient_clip_val": Honoured(_clips, "a finite number from 0, or null"),
    "gradient_clip_algorithm": Honoured(_is_one_of("norm", "value"), "norm, value or null"),
    "val_check_interval": Honoured(
        _is_interval,
        "a number of batches, or a share of them above 0 and up to 1.0; a time would have results depend on the clock",
    ),
    "check_val_every_n_epoch": Honoured(_counts, "1 or more, or null with a val_check_interval in batches"),
    "deterministic": Honoured(_is_one_of(True, False, "warn"), "true, false or warn"),
    "benchmark": Honoured(_is_one_of(True, False), "true or false"),
    "inference_mode": Honoured(_is_one_of(True, False), "true or false"),
    "plugins": Honoured(_is_call_or(), "a call (_target_: ...), or a list of such"),
    "log_every_n_steps": Honoured(
        _counts,
        "1 or more; logger=none logs nothing",
        "training/callbacks/stage_log.py:StepLog and training/fine_tuning.py:check_finite only read",
    ),
    "detect_anomaly": Honoured(_is_one_of(True, False), "true or false", "torch's anomaly mode only reads"),
    "profiler": Honoured(
        _is_call_or(*_PROFILERS),
        f"{', '.join(_PROFILERS)}, or a call (_target_: ...)",
        "Lightning's profilers only read",
    ),
    "default_root_dir": Honoured(
        lambda value: not isinstance(value, bool | int | float), "a folder", "says where files go"
    ),
    "accumulate_grad_batches": Ours("trainer.micro_batches"),
    "max_epochs": Ours(_LENGTH),
    "min_epochs": Ours(f"{_LENGTH}; a callback that ends trainings, as EarlyStopping, has a patience of its own"),
    "max_steps": Ours(_LENGTH, (-1,)),
    "min_steps": Ours(f"{_LENGTH}; a callback that ends trainings, as EarlyStopping, has a patience of its own"),
    "max_time": Ours("timeout 2h python run.py ...: the run saves and ends, and the same command goes on"),
    "fast_dev_run": Ours("debug=smoke", (False, 0)),
    "limit_train_batches": Ours(_FEWER, (1.0,)),
    "limit_val_batches": Ours(_FEWER, (1.0,)),
    "limit_test_batches": Ours(_FEWER, (1.0,)),
    "limit_predict_batches": Ours(_FEWER, (1.0,)),
    "overfit_batches": Ours(
        "'task.data.max_samples={train: 16}', and more teacher.epochs and budget.stage_epochs", (0, 0.0)
    ),
    "num_sanity_val_steps": Ours("debug=smoke tries a whole run out", (0,)),
    "reload_dataloaders_every_n_epochs": Ours("leave it out: each epoch has an order of its own", (0,)),
    "use_distributed_sampler": Ours("leave it out: the processes always share each batch among them", (True,)),
    "sync_batchnorm": Ours("leave it out: language models have no such layers", (False,)),
    "logger": Ours(
        "logger=csv, logger=tensorboard or logger=wandb, or several, 'logger=[wandb,csv]'; logger=none logs nothing",
        (False,),
    ),
    "callbacks": Ours(_CALLBACK, ([],)),
    "enable_checkpointing": Ours(
        f"resume.every_minutes and resume.every_steps, null for no saves; a ModelCheckpoint is {_CALLBACK}", (True,)
    ),
    # A bar of ours is shown on terminals, and Lightning's own never.
    "enable_progress_bar": Ours("leave it out", (True, False)),
    "enable_model_summary": Ours(
        _CALLBACK.replace("CLASS", "RichModelSummary").replace(", ARGUMENT: ...", ""), (False,)
    ),
    "enable_autolog_hparams": Ours("logger=none: what logs, logs the settings", (True,)),
    "model_registry": Ours("student/ of the run's folder is a transformers folder, for any registry"),
    "barebones": Ours("logger=none resume.every_minutes=null", (False,)),
}
# What its own variables begin with.
_VARIABLES = "PL_TRAINER_"
# Null is a way of its own to validate; elsewhere it is Lightning's default.
_NULL_COUNTS = "check_val_every_n_epoch"
# What happens where they are left out; so it does at null, but for the one above.
_DEFAULTS = {"deterministic": False, "benchmark": False, "inference_mode": True, "gradient_clip_algorithm": "norm"}
_DEFAULTS |= {"val_check_interval": 1.0, "check_val_every_n_epoch": 1}
_WHOLE_NAMES = {"32": "32-true", "64": "64-true", "16": "16-mixed", "bf16": "bf16-mixed"}
# Arguments of a strategy that say how processes talk, and not what is computed.
_TALK = {"_target_", "_partial_", "process_group_backend", "timeout", "start_method", "find_unused_parameters"}
_TALK |= {"static_graph", "gradient_as_bucket_view", "bucket_cap_mb", "broadcast_buffers", "forward_sync_buffers"}


def check_trainer(
    devices: int = 1,
    micro_batches: int = 1,
    strategy: Any = "auto",
    num_nodes: int = 1,
    wait_minutes: float = 30,
    **options: Any,
) -> dict[str, Any]:
    """Refuses what a trainer would ignore, what would end in its middle, and what can't be used.

    Args:
        devices: Number of processes on a machine.
        micro_batches: Forward passes of a process for an optimizer step.
        strategy: A name, or a maker of a strategy.
        num_nodes: Number of machines.
        wait_minutes: How long the processes wait for one another.
        **options: Further arguments of `lightning.Trainer`, as a configuration has them or as objects.

    Returns:
        Those of them that Lightning is to be told.

    Raises:
        ConfigError: One is unknown, can't be used, or is not for users to set; or the environment has some.
    """
    _check_environment()
    require_at_least(1, **{"trainer.micro_batches": micro_batches})
    require_wait(**{"trainer.wait_minutes": wait_minutes})
    if _same(options.get("accumulate_grad_batches"), micro_batches):  # Lightning's name for what happens anyway.
        del options["accumulate_grad_batches"]
    for name, value in {"devices": devices, "num_nodes": num_nodes, "strategy": strategy, **options}.items():
        _check(name, value)
    _check_strategy(strategy)
    honoured = {
        name: value
        for name, value in options.items()
        if isinstance(OPTIONS[name], Honoured) and (value is not None or name == _NULL_COUNTS)
    }
    _check_intervals(honoured)
    return honoured


def _check_environment() -> None:
    """Lightning takes from variables whatever it is not told: a share of the batches, of which no key would know."""
    found = sorted(name for name in os.environ if name.startswith(_VARIABLES))
    if found:
        name = found[0].removeprefix(_VARIABLES).lower()
        raise ConfigError(
            "Lightning's Trainer would take arguments from the environment",
            where=", ".join(found),
            got=os.environ[found[0]],
            remedy=f"unset {' '.join(found)}; what can be set is set by ++trainer.{name}=",
        )


def _check(name: str, value: Any) -> None:
    where, option = f"trainer.{name}", OPTIONS.get(name)
    if option is None:
        near = difflib.get_close_matches(name, [*OPTIONS, "micro_batches", "wait_minutes"], n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        known = [
            "micro_batches",
            "wait_minutes",
            *(each for each, what in OPTIONS.items() if isinstance(what, Honoured)),
        ]
        raise ConfigError(f"Lightning's Trainer has no such argument{meant}", where=where, expected=", ".join(known))
    if value is None:
        return
    if isinstance(option, Ours):
        if not any(_same(value, each) for each in option.harmless):
            raise ConfigError(
                "This argument of Lightning's Trainer is not for users to set here",
                where=where,
                got=value,
                remedy=option.remedy,
            )
    elif not option.fits(value):
        raise ConfigError("A value can't be used", where=where, got=value, expected=option.expected)


def _check_strategy(strategy: Any) -> None:
    if isinstance(strategy, Mapping) and strategy.get("_partial_") is not True:
        raise ConfigError(
            "Every trainer needs a strategy of its own, and so a maker of them",
            where="trainer.strategy",
            got=strategy.get("_target_"),
            remedy="_partial_: true beside its _target_",
        )


def _check_intervals(options: Mapping[str, Any]) -> None:
    """Without epochs to validate at the end of, batches have to be counted."""
    interval = options.get("val_check_interval", 1.0)
    if options.get(_NULL_COUNTS, 1) is None and type(interval) is not int:
        raise ConfigError(
            "Nothing says when to validate",
            where=f"trainer.{_NULL_COUNTS}",
            got=f"null, with trainer.val_check_interval={interval}",
            expected="trainer.val_check_interval in batches, such as 100",
        )


def trainer_numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a trainer's settings those that may change numbers, and what nothing is known of.

    Precision is apart: it changes the numbers of all artifacts.

    Args:
        settings: The part `trainer` of a configuration, as plain values.
    """
    left_out = {"_target_", "precision", "strategy", "micro_batches", "wait_minutes"}
    given = {name: value for name, value in settings.items() if name not in left_out}
    given = {name: value for name, value in given.items() if not _is_default(name, value)}
    found = {name: value for name, value in given.items() if _may_change_numbers(name) or _is_foreign(value)}
    if "val_check_interval" in found:
        # Micro-batches are what it counts.
        found["micro_batches"] = settings.get("micro_batches", 1)
    strategy = _strategy_numbers(settings.get("strategy"))
    return found | ({"strategy": strategy} if strategy else {})


def _is_default(name: str, value: object) -> bool:
    """Whether leaving an argument out would be the same."""
    return (value is None and name != _NULL_COUNTS) or (name in _DEFAULTS and _same(value, _DEFAULTS[name]))


def whole_precision(settings: Mapping[str, Any]) -> str:
    """The precision by its whole name, whichever of its names was given.

    Args:
        settings: The part `trainer` of a configuration, as plain values.
    """
    name = str(settings.get("precision") or "32-true")
    return _WHOLE_NAMES.get(name, name)


def _may_change_numbers(name: str) -> bool:
    option = OPTIONS.get(name)
    return option is None or (isinstance(option, Honoured) and not option.why)


def _strategy_numbers(strategy: object) -> dict[str, Any]:
    """What is more than talk, as a hook that rounds gradients, and a class of somebody else's."""
    if not isinstance(strategy, Mapping):
        return {}
    kept = {name: value for name, value in strategy.items() if name not in _TALK}
    return kept | ({"_target_": strategy.get("_target_")} if _is_foreign(strategy) else {})


def _is_foreign(value: object) -> bool:
    """Whether it is made by somebody else's class, which may do anything."""
    ours = ("lightning.", "scd_lightning.")
    return isinstance(value, Mapping) and not str(value.get("_target_")).startswith(ours)
