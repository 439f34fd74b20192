"""From a composed configuration to typed objects: the only place that reads one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scd_lightning.arguments import check_arguments
from scd_lightning.data.base import DomainDataModule
from scd_lightning.errors import ConfigError, ScdError
from scd_lightning.pipeline.artifacts import ArtifactStore
from scd_lightning.pipeline.job import Job
from scd_lightning.targets import check_allowed, find_target

GROUPS = ("task", "teacher", "student", "method", "objective", "budget", "trainer", "logger", "callbacks")
# Parts that are no groups of options.
PARTS = ("anchor", "evaluate", "resume")
KEYS = {*GROUPS, *PARTS, "paths", "seed", "stages", "allowed_targets"}


def build_job(cfg: DictConfig, run_dir: Path, *, locking: bool = True) -> Job:
    """Calls the constructors that the configuration names.

    Args:
        cfg: The composed configuration.
        run_dir: The run's folder.
        locking: Whether this process locks the store, see `ArtifactStore`.

    Raises:
        ScdError: A value is refused by the object that it is for.
    """
    try:
        settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        what = str(error).splitlines()[0]
        raise ConfigError(f"A value of the configuration can't be had ({what})", where=error.full_key) from error
    assert isinstance(settings, dict)
    if set(settings) != KEYS:
        odd = sorted(map(str, set(settings) ^ KEYS))
        raise ConfigError(
            "The configuration has unknown keys, or lacks some", got=", ".join(odd), expected=", ".join(sorted(KEYS))
        )
    allowed = check_allowed(settings["allowed_targets"])
    names = (*GROUPS, *PARTS)
    for name in names:  # All before any: a part that is refused has nothing made before it.
        if not isinstance(settings[name], dict):
            raise ConfigError(
                "A part of the configuration is replaced by a single value",
                where=name,
                got="null" if settings[name] is None else settings[name],
                expected=f"settings of it, as {name}.<setting>=<value>",
            )
        check_calls(settings[name], name, allowed)
    parts = {name: _build(settings[name], name) for name in names}
    return Job(
        data=parts["task"],
        teacher=parts["teacher"],
        student=parts["student"],
        anchor=parts["anchor"],
        method=parts["method"],
        objective=parts["objective"],
        budget=parts["budget"],
        evaluation=parts["evaluate"],
        trainer=parts["trainer"],
        loggers=list(parts["logger"].values()),
        callbacks=list(parts["callbacks"].values()),
        resume=parts["resume"],
        seed=settings["seed"],
        stages=settings["stages"],
        store=ArtifactStore(Path(settings["paths"]["store"]).absolute(), run=str(run_dir), locking=locking),
        run_dir=run_dir,
        settings={str(name): value for name, value in settings.items()},
    )


def build_task(cfg: DictConfig) -> DomainDataModule:
    """Makes the task's data alone, not read yet."""
    settings = OmegaConf.to_container(cfg.task, resolve=True)
    assert isinstance(settings, dict)
    values = {str(name): value for name, value in settings.items()}
    check_calls(values, "task", check_allowed(OmegaConf.to_container(cfg.allowed_targets)))
    data: DomainDataModule = _build(values, "task")
    return data


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
    arguments = {name: value for name, value in values.items() if not name.startswith("_")}
    check_arguments(target, arguments, where, partial=values.get("_partial_", False))
