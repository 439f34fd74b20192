"""Which models a run takes where none is named: the one place that decides it."""

from collections.abc import Sequence

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from scd_lightning.cli.overrides import written

FROM_SCRATCH = "from scratch: name models, e.g. `teacher=smollm2 student=smollm2_pruned`"
_ROLES = ("teacher", "student")
# What the embedded base models know is of no use for other data.
_EMBEDDED = "embedded"
_NAMING = ("", ".path", ".gguf")


def settle_models(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration with models from scratch where the data are the user's own and neither model is named.

    Args:
        cfg: A configuration of the running job, or of another with its groups.
        overrides: What it was composed with besides Hydra's own.

    Returns:
        `cfg` itself where it stays as it is.
    """
    data = cfg.task.data
    named = {each.lstrip("+").partition("=")[0] for each in overrides}
    choices = HydraConfig.get().runtime.choices
    # By an experiment or the like, too.
    chosen = any(choices.get(role) != _EMBEDDED for role in _ROLES)
    generated = data.path is None and data.hub is None
    if generated or chosen or named & {f"{role}{part}" for role in _ROLES for part in _NAMING}:
        return cfg
    return compose_job([*overrides, *(f"{role}=scratch" for role in _ROLES)])


def compose_job(overrides: Sequence[str]) -> DictConfig:
    """A configuration like the running job's, with other overrides."""
    hydra = HydraConfig.get()
    # Options of the user's own folders are found through Hydra's own setting.
    places = [each for each in written(hydra.overrides.hydra) if each.startswith("hydra.searchpath=")]
    return compose(hydra.job.config_name, [*places, *overrides])
