"""From a composed configuration to checked values and the objects that they name: the only place that reads one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from scd_lightning.config.arguments import check_arguments
from scd_lightning.config.paths import with_paths
from scd_lightning.config.settings import check_run
from scd_lightning.config.targets import check_allowed, find_target, targets_in
from scd_lightning.config.trainer_options import check_trainer
from scd_lightning.config.wording import Written, in_words
from scd_lightning.errors import ConfigError, ScdError
from scd_lightning.redaction.known_secrets import learn_from
from scd_lightning.redaction.secret_places import lacks_secret

GROUPS = ("task", "teacher", "student", "method", "objective", "budget", "trainer", "logger", "callbacks")
# Parts that are no groups of options.
PARTS = ("anchor", "unlabelled", "evaluate", "resume")
# What makes trainers, by name: its class takes a framework, and what it is told can be checked without.
TRAINER = "scd_lightning.training.trainer.TrainerFactory"
# Those of them that can be made where no framework is, but for an optimizer.
LIGHT = ("budget", "anchor", "unlabelled", "evaluate", "resume", "teacher", "student", "task", "method", "objective")
# What may be called without loading one.
_WITHOUT_FRAMEWORK = tuple(
    f"scd_lightning.{part}."
    for part in ("config", "data", "tasks", "models.spec", "schedules", "losses.outlines", "pipeline.method")
    + ("loggers.wandb_switches",)
)
# What stands for a place that loads one: the same names, settings and checks.
_OUTLINES = {
    **{f"scd_lightning.losses.{name}.": "scd_lightning.losses.outlines." for name in ("objective", "weighting")},
    "scd_lightning.losses.divergences.": "scd_lightning.losses.outlines.",
    "scd_lightning.loggers.wandb.WandbLogger": "scd_lightning.loggers.wandb_switches.Switches",
}
_LIGHT = (*_WITHOUT_FRAMEWORK, f"{__name__}.")
_ALLOWED_TOO = (__name__, "scd_lightning.losses.outlines")
# What a call may say of itself; whatever else begins like this Hydra would hand on unchecked, as `_args_`.
_CALL = {"_target_", "_partial_", "_convert_", "_recursive_"}
KEYS = {*GROUPS, *PARTS, "paths", "seed", "phases", "allowed_targets"}


def read_settings(cfg: DictConfig, written: Iterable[Written] = ()) -> dict[str, Any]:
    """A composed configuration as plain values.

    Args:
        cfg: The configuration.
        written: What a command line gave for it: a setting that takes text has it as it was written.

    Raises:
        ConfigError: A value can't be had, or a part is unknown, missing or no part.
    """
    try:
        settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        what, missing = str(error).splitlines()[0], isinstance(error, MissingMandatoryValue)
        remedy = f"pass {error.full_key}=<value>" if missing else None
        raise ConfigError(
            f"A value of the configuration can't be had ({what})", where=error.full_key, remedy=remedy
        ) from error
    assert isinstance(settings, dict)
    _check_whole(settings)
    learn_from({name: values for name, values in settings.items() if name != "paths"})
    if set(settings) != KEYS:
        odd = sorted(map(str, set(settings) ^ KEYS))
        raise ConfigError(
            "The configuration has unknown keys, or lacks some", got=", ".join(odd), expected=", ".join(sorted(KEYS))
        )
    for name in (*GROUPS, *PARTS, "paths"):
        if not isinstance(settings[name], dict):
            raise ConfigError(
                "A part of the configuration is replaced by a single value",
                where=name,
                got="null" if settings[name] is None else settings[name],
                expected=f"settings of it, as {name}.<setting>=<value>",
            )
    settings = in_words({str(name): value for name, value in settings.items()}, written, _light_target, ["paths"])
    check_arguments(_paths, settings["paths"], "paths", partial=False)
    return with_paths(settings)


def _paths(store: str, run: str) -> None:
    """Has the annotations of the part `paths`, and is never called."""


def _light_target(name: object) -> Callable[..., Any] | None:
    """What a `_target_` names, or what stands for it without a framework; None where neither can be had so."""
    outlined = str(_outlined({"_target_": name})["_target_"])
    if outlined.startswith(_LIGHT):
        with suppress(ConfigError):  # Of one that there isn't, `check_calls` tells.
            return find_target(outlined, _ALLOWED_TOO, "")
    return None


def _check_whole(values: Any, where: str = "") -> None:
    """Raises a ConfigError where a setting comes from a file that has left a secret out."""
    if isinstance(values, dict):
        for name, value in values.items():
            _check_whole(value, f"{where}.{name}" if where else str(name))
    elif isinstance(values, list):
        for i, value in enumerate(values):
            _check_whole(value, f"{where}[{i}]")
    elif isinstance(values, str) and lacks_secret(values):
        raise ConfigError(
            "A secret was left out of this setting where it was written down",
            where=where,
            got=values,
            remedy=f"set a variable of the environment, say SECRET, and write {where}='${{oc.env:SECRET}}'",
        )


def build_parts(settings: Mapping[str, Any], names: Sequence[str] = (*GROUPS, *PARTS)) -> dict[str, Any]:
    """Calls the constructors that parts of a configuration name.

    Args:
        settings: As `read_settings` gives them.
        names: The parts.

    Raises:
        ScdError: A value is refused by the object that it is for.
    """
    allowed = check_allowed(settings["allowed_targets"])
    for name in names:  # All before any: a part that is refused has nothing made before it.
        check_calls(settings[name], name, allowed)
    return {name: _build(settings[name], name) for name in names}


def check_light_parts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the parts whose settings can be checked before any framework is there, and loggers likewise.

    They are to look at, and not to be kept: a model's lacks its optimizer, of the losses there are outlines alone, and
    `build_parts` makes all of a job or nothing.

    Args:
        settings: As `read_settings` gives them.

    Returns:
        Those of `LIGHT` that can be made so; those that name a class of the user's own are not among them.

    Raises:
        ScdError: A value is refused by the object that it is for.
    """
    check_allowed(settings["allowed_targets"])
    check_run(settings["seed"], settings["phases"])
    _check_light_trainer(settings["trainer"])
    for name, values in settings["logger"].items():
        _make_light(values, f"logger.{name}")
    made = {name: _make_light(settings[name], name) for name in LIGHT}
    return {name: part for name, part in made.items() if part is not None}


def _check_light_trainer(values: Mapping[str, Any]) -> None:
    if values.get("_target_") == TRAINER:
        arguments = {name: value for name, value in values.items() if name != "_target_"}
        check_arguments(check_trainer, arguments, "trainer", partial=False)
        check_trainer(**arguments)


def _make_light(values: Any, where: str) -> Any:
    """A part made without a framework; None where that can't be."""
    if not isinstance(values, dict) or "_target_" not in values:
        return None
    if "optimizer" in values:
        values = {**values, "optimizer": _light_optimizer(values["optimizer"])}
    values = _outlined(values)
    if not all(str(target).startswith(_LIGHT) for _, target in targets_in(values, where)):
        return None
    check_calls(values, where, _ALLOWED_TOO)
    return _build(values, where)


def _outlined(values: Any) -> Any:
    """Values with outlines in the place of what loads a framework."""
    if isinstance(values, list):
        return [_outlined(value) for value in values]
    if not isinstance(values, dict):
        return values
    outlined = {name: _outlined(value) for name, value in values.items()}
    target = outlined.get("_target_")
    for heavy, outline in _OUTLINES.items():
        if isinstance(target, str) and target.startswith(heavy):
            outlined["_target_"] = outline + target.removeprefix(heavy)
    return outlined


def _light_optimizer(given: Any) -> dict[str, Any]:
    """What stands for an optimizer, which takes a framework: its numbers alone, where they are known to be such."""
    of_torch = isinstance(given, dict) and str(given.get("_target_")).startswith("torch.optim.")
    numbers = {name: value for name, value in given.items() if name in ("lr", "weight_decay")} if of_torch else {}
    return {"_target_": f"{__name__}.optimizer_of_torch", "_partial_": True, **numbers}


def optimizer_of_torch(*, lr: float = 0.0, weight_decay: float = 0.0) -> None:
    """Has the annotations of what all optimizers of torch take, and is never called."""


def _build(values: dict[str, Any], where: str) -> Any:
    try:
        return instantiate(values, _convert_="all")
    except InstantiationException as error:
        # Hydra wraps what a constructor raises; the user's mistake inside is the better message.
        cause = error.__cause__
        if isinstance(cause, ScdError):
            raise cause from None
        raise ConfigError(f"The part {where} of the configuration can't be made ({error})", where=where) from error


def check_calls(values: Any, where: str, allowed: Sequence[str]) -> None:
    """Checks the constructor calls in a part of the configuration, the nested ones first.

    Args:
        values: The part, as plain values.
        where: Its place in the configuration, for messages.
        allowed: What may be called besides the usual, see `find_target`.

    Raises:
        ConfigError: A target does not exist or may not be called, its arguments do not fit, or a value holds an
            interpolation yet.
    """
    if isinstance(values, str) and "${" in values:
        # One that was written with a backslash: Hydra would resolve it once more, after these checks.
        raise ConfigError("A value is left to be resolved later", where=where, got=values, expected="no ${ in it")
    if isinstance(values, list):
        for i, value in enumerate(values):
            check_calls(value, f"{where}[{i}]", allowed)
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        check_calls(value, f"{where}.{name}", allowed)
    if "_target_" not in values:
        return
    target = find_target(values["_target_"], allowed, where)
    if odd := sorted(str(name) for name in values if str(name).startswith("_") and name not in _CALL):
        raise ConfigError(
            "A call may have arguments by their names alone",
            where=where,
            got=", ".join(odd),
            expected=f"the names of {values['_target_']}, and of Hydra's own {', '.join(sorted(_CALL))}",
        )
    arguments = {name: value for name, value in values.items() if name not in _CALL}
    check_arguments(target, arguments, where, partial=values.get("_partial_", False))
