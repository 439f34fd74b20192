"""The jobs of a sweep that did not finish: which, why, and the command that runs each alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from scd_lightning.analysis.records import read_json
from scd_lightning.config.invocation import program
from scd_lightning.config.option_places import places_of_options
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import StoreError
from scd_lightning.run_folder.names import ATTEMPT, FAILURE, RESULTS, RUN
from scd_lightning.run_folder.sweep_folder import failed_attempt

UNFINISHED = "unfinished"
# The command line of each job, and Hydra's own part of its configuration.
_OVERRIDES, _HYDRA = Path(".hydra", "overrides.yaml"), Path(".hydra", "hydra.yaml")


@dataclass(frozen=True)
class Failure:
    """A run that did not finish.

    Attributes:
        folder: Name of its folder, which is its number in a sweep.
        type: Name of the error, or `UNFINISHED`.
        message: What went wrong.
        overrides: What sets it apart from the other runs, as overrides; often "".
        command: What runs it alone; "" where that is not known.
    """

    folder: str
    type: str
    message: str
    overrides: str = ""
    command: str = ""

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.folder} ({self.overrides})" if self.overrides else self.folder


def is_finished(folder: Path) -> bool:
    """Whether a run has results of its own, and is the last that its sweep had in this folder.

    Raises:
        StoreError: A file is damaged.
    """
    started = read_json(folder / RUN, {})
    cut_off = "finished" in started and started["finished"] is None
    failed = (folder / FAILURE).exists() or failed_attempt(folder)
    return (folder / RESULTS).exists() and not failed and not cut_off


def describe_failures(errors: Mapping[Path, StoreError | None], folders: Sequence[Path]) -> list[Failure]:
    """Says of runs why they did not finish.

    Args:
        errors: Folder -> what is wrong with its files; None where the run itself failed or stopped.
        folders: Of all runs that are looked at together, these among them.
    """
    own = own_overrides(folders) if errors else {}
    return [_describe(folder, error, own[folder]) for folder, error in errors.items()]


def describe_attempts(folders: Sequence[Path], sweep: str) -> list[Failure]:
    """Says why the jobs of a sweep failed in folders that may be an earlier one's still.

    Args:
        folders: The jobs' folders.
        sweep: The identity of the sweep.
    """
    attempts = {folder: read_json(folder / ATTEMPT, {}) for folder in folders}
    own = {folder: attempt for folder, attempt in attempts.items() if attempt.get("sweep") == sweep}
    vacant = [folder for folder in folders if folder not in own]
    return [
        *(Failure(folder.name, each["type"], each["message"], "", each["command"]) for folder, each in own.items()),
        *describe_failures(dict.fromkeys(vacant), vacant),
    ]


def own_overrides(folders: Sequence[Path]) -> dict[Path, list[str]]:
    """Of each run, those overrides that not all of the runs have; none where they are not known."""
    given = {folder: read_overrides(folder) for folder in folders}
    common = set.intersection(*map(set, given.values())) if given else set()
    return {folder: [each for each in overrides if each not in common] for folder, overrides in given.items()}


def read_overrides(folder: Path) -> list[str]:
    """The overrides of a run as Hydra has noted them; empty where it has not."""
    try:
        found = yaml.safe_load((folder / _OVERRIDES).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    return list(map(str, found)) if isinstance(found, list) else []


def _places(folder: Path) -> list[str]:
    try:
        found = yaml.safe_load((folder / _HYDRA).read_text(encoding="utf-8"))
        return places_of_options(found["hydra"])
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return []


def _describe(folder: Path, error: StoreError | None, own: Sequence[str]) -> Failure:
    given = read_overrides(folder)
    if any(each.startswith("hparams_search=") for each in given):
        # Alone, and not as another search.
        given.append("hydra.mode=RUN")
    overrides, command = " ".join(own), command_of([*program(), *_places(folder), *given]) if given else ""
    if error is None:
        try:
            return Failure(folder.name, *_reason(folder), overrides, command)
        except StoreError as damage:
            error = damage
    return Failure(folder.name, type(error).__name__, str(error), overrides, command)


def _reason(folder: Path) -> tuple[str, str]:
    if failure := failed_attempt(folder) or read_json(folder / FAILURE, {}):
        return failure["type"], failure["message"]
    if ended := read_json(folder / "partial.json", {}).get("ended"):
        return ended["type"], ended["message"]
    run = read_json(folder / RUN, None)
    if run is None:
        return UNFINISHED, "It ended before its first phase, and left no error."
    if run.get("finished"):
        return UNFINISHED, "It ran without the phase report, which writes results.json."
    return (
        UNFINISHED,
        f"It started at {run.get('started')} and left no error: it runs still, or was ended from outside.",
    )
