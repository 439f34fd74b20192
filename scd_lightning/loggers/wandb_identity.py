"""Which W&B run a job is: one for all of its processes, and for the same job when it goes on in its folder."""

import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scd_lightning.errors import StoreError
from scd_lightning.loggers.job_loggers import JobInfo
from scd_lightning.loggers.wandb_switches import Switches
from scd_lightning.progress import say
from scd_lightning.store.manifest import read_json, sha256_json, write_json


@dataclass(frozen=True)
class Identity:
    """A job's run.

    Attributes:
        id: Its id at W&B.
        name: Its name there.
        settings: Digest of the job's settings.
        alone: Whether the job is none of a sweep's, so that W&B's variables for one run are its own.
        resume: What W&B is to do where it knows the id.
        goes_on: Whether it is the run of the job that was stopped here.
        ended: Whether the job is finished, so that the next one in this folder is another run.
    """

    id: str
    name: str
    settings: str
    alone: bool = True
    resume: str = "allow"
    goes_on: bool = False
    ended: bool = False


def identify(folder: Path, info: JobInfo, switches: Switches) -> Identity:
    """A job's run, written down for the job's further processes and for the same job after it was stopped.

    Args:
        folder: The job's folder.
        info: The job.
        switches: What W&B was told.
    """
    given = switches.told("run_id")
    name = switches.told("run_name")
    own = Identity(secrets.token_hex(4), name or info.name, sha256_json(repr(info.settings)), alone=not info.swept)
    if info.swept:
        if given is not None:
            say("W&B: WANDB_RUN_ID is of one run, so each job of this sweep has an id of its own")
        own = replace(own, name=info.name if name is None else f"{name} {info.name}")
    elif given is not None:
        # An agent of a W&B sweep waits for the run that it named itself.
        own = replace(own, id=given, resume=switches.told("resume") or "allow", goes_on=True)
    before = read_identity(folder)
    if own.id != given and before is not None and not before.ended and before.settings == own.settings:
        own = replace(own, id=before.id, goes_on=True)
    write_json(_file(folder), asdict(own))
    return own


def read_identity(folder: Path) -> Identity | None:
    """The run that a folder's last job was; None where there is none, or none that can be read."""
    try:
        return Identity(**read_json(_file(folder))) if _file(folder).is_file() else None
    except (StoreError, TypeError):
        return None


def end(folder: Path) -> None:
    """Notes that the job is finished."""
    identity = read_identity(folder)
    if identity is not None:
        with suppress(StoreError):  # Hours of training are worth more than their log.
            write_json(_file(folder), asdict(replace(identity, ended=True)))


def _file(folder: Path) -> Path:
    return folder / "wandb" / "job.json"
