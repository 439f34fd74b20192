"""The jobs of a sweep that did not finish: which, why, and the command that runs each alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from scd_lightning.analysis.records import read_json
from scd_lightning.config.option_places import places_of_options
from scd_lightning.errors import StoreError
from scd_lightning.redaction.cleaning import clean_command

UNFINISHED = "unfinished"
# The command line of each job, and Hydra's own part of its configuration, which Hydra writes before the job starts.
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
    """Whether a run has results of its own: beside a run that failed or was cut off may lie an earlier one's.

    Raises:
        StoreError: A file is damaged.
    """
    started = read_json(folder / "run.json", {})
    cut_off = "finished" in started and started["finished"] is None
    return (folder / "results.json").exists() and not (folder / "failure.json").exists() and not cut_off


def describe_failures(errors: Mapping[Path, StoreError | None], folders: Sequence[Path]) -> list[Failure]:
    """Says of runs why they did not finish.

    Args:
        errors: Folder -> what is wrong with its files; None where the run itself failed or stopped.
        folders: Of all runs that are looked at together, these among them.
    """
    own = own_overrides(folders) if errors else {}
    return [_describe(folder, error, own[folder]) for folder, error in errors.items()]


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
    overrides, command = " ".join(own), clean_command(["python", "run.py", *_places(folder), *given]) if given else ""
    if error is None:
        try:
            return Failure(folder.name, *_reason(folder), overrides, command)
        except StoreError as damage:
            error = damage
    return Failure(folder.name, type(error).__name__, str(error), overrides, command)


def _reason(folder: Path) -> tuple[str, str]:
    if failure := read_json(folder / "failure.json", {}):
        return failure["type"], failure["message"]
    if ended := read_json(folder / "partial.json", {}).get("ended"):
        return ended["type"], ended["message"]
    run = read_json(folder / "run.json", None)
    if run is None:
        return UNFINISHED, "It ended before its first phase, and left no error."
    if run.get("finished"):
        return UNFINISHED, "It ran without the phase report, which writes results.json."
    return (
        UNFINISHED,
        f"It started at {run.get('started')} and left no error: it runs still, or was ended from outside.",
    )
