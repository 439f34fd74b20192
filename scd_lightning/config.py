"""From a composed configuration to typed objects: the only place that reads one."""

from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from scd_lightning.errors import ScdError
from scd_lightning.pipeline.artifacts import ArtifactStore
from scd_lightning.pipeline.job import Job

GROUPS = ("task", "teacher", "student", "method", "objective", "budget", "trainer", "logger", "callbacks")


def build_job(cfg: DictConfig, run_dir: Path, *, locking: bool = True) -> Job:
    """Calls the constructors that the configuration names.

    Args:
        cfg: The composed configuration.
        run_dir: The run's folder.
        locking: Whether this process locks the store, see `ArtifactStore`.

    Raises:
        ScdError: A value is refused by the object that it is for.
    """
    settings = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(settings, dict)
    parts = {name: _build(settings[name]) for name in GROUPS}
    return Job(
        data=parts["task"],
        teacher=parts["teacher"],
        student=parts["student"],
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


def _build(values: dict[str, Any]) -> Any:
    try:
        return instantiate(values, _convert_="all")
    except InstantiationException as error:
        # Hydra wraps what a constructor raises; the user's mistake inside is the better message.
        cause = error.__cause__
        if isinstance(cause, ScdError):
            raise cause from None
        raise
