"""Whether loggers of others can be made as a job makes them: one for each phase, by its name."""

import inspect
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from scd_lightning.errors import ConfigError


def check_makers(makers: Mapping[str, Any]) -> None:
    """Refuses what a phase could not have a logger from, before anything is trained.

    Args:
        makers: The job's loggers by their names in the configuration: makers of Lightning loggers, and `JobLogger`s.

    Raises:
        ConfigError: One can't be called by a phase's name, or merges runs.
    """
    for name, make in makers.items():
        where, kind = f"logger.{name}", getattr(make, "func", make)
        if isinstance(kind, type) and issubclass(kind, WandbLogger):
            raise ConfigError(
                "Lightning's own logger of W&B would make one run of all phases, and of all jobs of a sweep",
                where=where,
                remedy="in its place logger=wandb, which makes one run of each job",
            )
        try:
            inspect.signature(make).bind(name="a phase")
        except TypeError as error:
            raise ConfigError(
                f"A logger can't be made for a phase ({error})",
                where=where,
                got=getattr(kind, "__name__", type(kind).__name__),
                expected="_partial_: true, and a class or function that takes name=<phase>",
                remedy="a function of your own that takes the name and makes the logger, named by _target_",
            ) from error
