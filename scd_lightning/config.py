"""From a composed configuration to typed objects: the only place that reads one."""

from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scd_lightning.arguments import check_arguments
from scd_lightning.data.base import DomainDataModule
from scd_lightning.errors import ConfigError, ScdError
from scd_lightning.pipeline.artifacts import ArtifactStore
from scd_lightning.pipeline.job import Job

GROUPS = ("task", "teacher", "student", "method", "objective", "budget", "trainer", "logger", "callbacks")
KEYS = {*GROUPS, "anchor", "paths", "seed", "stages"}


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
    parts = {name: _build(settings[name], name) for name in (*GROUPS, "anchor")}
    return Job(
        data=parts["task"],
        teacher=parts["teacher"],
        student=parts["student"],
        anchor=parts["anchor"],
        method=parts["method"],
        objective=parts["objective"],
        budget=parts["budget"],
        trainer=parts["trainer"],
        loggers=list(parts["logger"].values()),
        callbacks=list(parts["callbacks"].values()),
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
    data: DomainDataModule = _build({str(name): value for name, value in settings.items()}, "task")
    return data


def _build(values: dict[str, Any], where: str) -> Any:
    check_calls(values, where)
    try:
        return instantiate(values, _convert_="all")
    except InstantiationException as error:
        # Hydra wraps what a constructor raises; the user's mistake inside is the better message.
        cause = error.__cause__
        if isinstance(cause, ScdError):
            raise cause from None
        raise ConfigError(f"The part {where} of the configuration can't be made ({error})", where=where) from error


def check_calls(values: Any, where: str) -> None:
    """Checks the constructor calls in a part of the configuration, the nested ones first.

    Raises:
        ConfigError: A target does not exist, or its arguments do not fit.
    """
    if isinstance(values, list):
        for i, value in enumerate(values):
            check_calls(value, f"{where}[{i}]")
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        check_calls(value, f"{where}.{name}")
    if "_target_" not in values:
        return
    try:
        target = get_object(values["_target_"])
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError("There is no such class or function", where=where, got=values["_target_"]) from error
    arguments = {name: value for name, value in values.items() if not name.startswith("_")}
    check_arguments(target, arguments, where, partial=values.get("_partial_", False))
