"""Which models a run takes where none is named: the one place that decides it."""

from collections.abc import Sequence, Set

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from scd_lightning.cli.overrides import written

FROM_SCRATCH = "from scratch: name models, e.g. `teacher=smollm2 student=smollm2_pruned`"
_ROLES = ("teacher", "student")
# What the embedded base models know is of no use for other data, and their learning rates would ruin other models.
_EMBEDDED = "embedded"
_PACKAGED = "scd_lightning:"
_NAMING = ("", ".path", ".gguf")


def settle_models(cfg: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, str]:
    """The configuration with the models that its user means, where no group of settings is named for them.

    A model that is named by its path alone has the settings of `hub`. Where the data are the user's own and neither
    model is named, both are from scratch.

    Args:
        cfg: A configuration of the running job, or of another with its groups.
        overrides: What it was composed with besides Hydra's own.

    Returns:
        `cfg` itself where it stays as it is; and what to say of the models that were taken, if anything.
    """
    named = {each.lstrip("+").partition("=")[0] for each in overrides}
    if own := [role for role in _ROLES if _has_own_path(cfg, role, named)]:
        groups = [each for role in own for each in _hub(cfg, role, named)]
        said = " ".join(f"{role}=hub" for role in own)
        return compose_job([*overrides, *groups]), f"settings of {said}, as a path alone was given"
    data, choices = cfg.task.data, HydraConfig.get().runtime.choices
    # By an experiment or the like, too.
    chosen = any(choices.get(role) != _EMBEDDED for role in _ROLES)
    generated = data.path is None and data.hub is None
    if generated or chosen or named & {f"{role}{part}" for role in _ROLES for part in _NAMING}:
        return cfg, ""
    return compose_job([*overrides, *(f"{role}=scratch" for role in _ROLES)]), FROM_SCRATCH


def _has_own_path(cfg: DictConfig, role: str, named: Set[str]) -> bool:
    """Whether a model has a path of the user's, beside settings that are the embedded one's because none were asked."""
    if role in named or HydraConfig.get().runtime.choices.get(role) != _EMBEDDED:
        return False
    model = cfg[role]
    return model.gguf is not None or (model.path is not None and not str(model.path).startswith(_PACKAGED))


def _hub(cfg: DictConfig, role: str, named: Set[str]) -> list[str]:
    place = f"{role}.path"
    # The group asks for a path, which a GGUF file is instead of.
    return [f"{role}=hub", *([f"{place}=null"] if cfg[role].gguf is not None and place not in named else [])]


def compose_job(overrides: Sequence[str]) -> DictConfig:
    """A configuration like the running job's, with other overrides."""
    hydra = HydraConfig.get()
    # Options of the user's own folders are found through Hydra's own setting.
    places = [each for each in written(hydra.overrides.hydra) if each.startswith("hydra.searchpath=")]
    return compose(hydra.job.config_name, [*places, *overrides])
