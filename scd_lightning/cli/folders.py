"""The folders of runs and of sweeps: names that no two of them share, and what stands in them from the start."""

import os
from itertools import count
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, read_write

from scd_lightning.cli import search
from scd_lightning.cli.hydra_secrets import shown_yaml
from scd_lightning.errors import ConfigError
from scd_lightning.launch import ranks
from scd_lightning.run_folder.names import HYDRA

# What makes a name one that nobody has asked for: the second at which a command starts.
_TIME = "${now:"
_TORCHRUN = (
    "The processes of torchrun need one folder, and the default has the second in its name at which each of them starts"
)


def first_texts(cfg: DictConfig) -> dict[str, str]:
    """Name -> text of what the running job's folder holds from when it is the job's own.

    Hydra itself would write what it has composed before anybody could ask whose the folder is.

    Args:
        cfg: The job's configuration.
    """
    composed = (cfg, HydraConfig.instance().cfg, HydraConfig.get().overrides.task)
    return {name: shown_yaml(each) for name, each in zip(HYDRA, composed, strict=True)} | search.texts()


def name_run(config: DictConfig) -> None:
    """Gives a run a folder of its own, where its name is made of the time.

    Args:
        config: The composed configuration, with Hydra's own part.

    Raises:
        ConfigError: It is one of several processes, which would give it several names.
    """
    if not _is_of_time(config.hydra.run):
        return
    if _is_one_of_several():
        remedy = "name it for all of them, as in hydra.run.dir=outputs/first"
        raise ConfigError(_TORCHRUN, where="hydra.run.dir", got=config.hydra.run.dir, remedy=remedy)
    with read_write(config.hydra):
        config.hydra.run.dir = str(_new_folder(Path(config.hydra.run.dir)))


def name_sweep(config: DictConfig) -> Path:
    """Gives a sweep a folder, of its own where its name is made of the time; all of its jobs will know it.

    Args:
        config: The composed configuration, with Hydra's own part.

    Raises:
        ConfigError: It is one of several processes, each of which would begin a sweep of its own.
    """
    if _is_one_of_several():
        raise ConfigError(
            "A sweep is one process, which starts those of its jobs itself",
            where="-m, with torchrun",
            got=f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']}",
            expected="python run.py -m ... trainer=ddp trainer.devices=2, or one job a torchrun",
        )
    folder = Path(config.hydra.sweep.dir)
    if not _is_of_time(config.hydra.sweep):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    folder = _new_folder(folder)
    # A job's configuration is composed anew, from what the command line says.
    given = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    assert isinstance(given, list)
    others = [each for each in given if not str(each).startswith("hydra.sweep.dir=")]
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    with read_write(config.hydra):
        config.hydra.sweep.dir = str(folder)
        config.hydra.overrides.hydra = [*others, f"hydra.sweep.dir='{quoted}'"]
    return folder


def _is_one_of_several() -> bool:
    return ranks.is_rank() and os.environ.get("WORLD_SIZE", "1") != "1"


def _is_of_time(part: DictConfig) -> bool:
    plain = OmegaConf.to_container(part, resolve=False)
    assert isinstance(plain, dict)
    return _TIME in str(plain["dir"])


def _new_folder(path: Path) -> Path:
    """Makes a folder of that name, or of the first that is free of those with a number behind it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        numbered = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            numbered.mkdir()
        except FileExistsError:
            continue
        return numbered
    raise AssertionError
