"""Loggers that need a decision of their own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from netrc import NetrcParseError, netrc
from pathlib import Path

from lightning.pytorch.loggers import WandbLogger


def has_wandb_key(home: Path | None = None) -> bool:
    """Whether W&B would find a key without asking: in the environment, or in ~/.netrc after `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = (home or Path.home()) / ".netrc"
    try:
        return any("wandb" in host for host in netrc(path).hosts)
    except (FileNotFoundError, NetrcParseError):
        return False


def wandb_logger(name: str, save_dir: str, project: str, group: str | None = None) -> WandbLogger:
    """A W&B logger: online where there is a key, else offline, so that a run never stops to ask.

    Args:
        name: Pipeline stage; prefixes its metrics. All stages of a job share one run.
        save_dir: The run's folder.
        project: W&B project.
        group: W&B group, or None.
    """
    return WandbLogger(
        save_dir=save_dir, project=project, group=group, prefix=name, offline=not has_wandb_key(), log_model=False
    )


@contextmanager
def own_run() -> Iterator[None]:
    """Ends the W&B run that the block started, with the block's outcome: jobs of a sweep would merge into one run."""
    failed = True
    try:
        yield
        failed = False
    finally:
        # Not imported for its own sake: it takes a second, and only `wandb_logger` needs it.
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None:
            wandb.finish(exit_code=int(failed))
