"""What the jobs of a search found on the validation split, and which settings win."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from scd_lightning.analysis.comparison.failed_jobs import Failure, describe_failures, read_overrides
from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.analysis.records import read_json
from scd_lightning.analysis.search import TRIAL
from scd_lightning.config.pasting import command_of
from scd_lightning.redaction.cleaning import clean_override
from scd_lightning.run_folder.names import FAILURE
from scd_lightning.run_folder.sweep_folder import failed_attempt

# What a shell that puts a text in the place of `$(...)` takes apart or looks up.
_SPECIAL = re.compile(r"[\s'\"\\*?#]")


@dataclass(frozen=True)
class Trial:
    """A job of a search.

    Attributes:
        folder: Name of its folder, which is its number.
        overrides: All its overrides.
        metric_name: What validation measures.
        metric: That of the student's best epoch; None where the job failed.
        loss: Likewise.
        failure: Why it failed.
    """

    folder: str
    overrides: list[str]
    metric_name: str
    metric: float | None
    loss: float | None
    failure: Failure | None


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried, in one job or with several seeds.

    Attributes:
        values: Setting -> value, as in an override.
        jobs: The folders of its jobs.
        metric: Mean over the seeds; None where one of them failed.
        loss: Likewise.
    """

    values: dict[str, str]
    jobs: list[str]
    metric: float | None
    loss: float | None

    @property
    def override(self) -> str:
        """What gives other runs these settings, for a shell."""
        return command_of(self._words)

    @property
    def words(self) -> str:
        """The same for `$(...)`, where a shell takes no quotes away: without any, unless a value needs them."""
        plain = list(map(clean_override, self._words))
        return self.override if any(map(_SPECIAL.search, plain)) else " ".join(plain)

    @property
    def _words(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.values.items()]


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        metric_name: What validation measures.
        candidates: What was tried, in the order of the jobs.
        chosen: The best of it: highest metric, then lowest loss, then first tried; None where all failed.
        trials: The jobs.
        searched: The settings that were searched for.
    """

    metric_name: str
    candidates: list[Candidate]
    chosen: Candidate | None
    trials: list[Trial]
    searched: list[str]

    @property
    def failures(self) -> list[Failure]:
        """The jobs that failed."""
        return [trial.failure for trial in self.trials if trial.failure is not None]

    def edges(self) -> dict[str, str]:
        """Settings whose best value is the "lowest" or the "highest" tried: a better one may lie beyond."""
        found = {}
        for name, value in self.chosen.values.items() if self.chosen else ():
            tried = sorted({x for each in self.candidates if (x := as_number(each.values.get(name, ""))) is not None})
            if len(tried) > 1 and as_number(value) in (tried[0], tried[-1]):
                found[name] = "lowest" if as_number(value) == tried[0] else "highest"
        return found

    def to_dict(self) -> dict[str, Any]:
        """Gives the content of search.json."""
        return {
            "searched": self.searched,
            "metric": self.metric_name,
            "chosen": self.chosen and self.chosen.values,
            "override": self.chosen and self.chosen.override,
            "candidates": [asdict(each) for each in self.candidates],
            "failures": [asdict(failure) for failure in self.failures],
        }


def find_trials(folder: Path) -> list[Path]:
    """Lists the folders of a search's jobs, in their order."""
    # A job whose configuration is no good has failed before it could leave anything else.
    return [path for path in find_runs(folder) if (path / TRIAL).exists() or (path / FAILURE).exists()]


def read_trials(folder: Path) -> list[Trial]:
    """Reads the jobs of a search.

    Raises:
        StoreError: A file is damaged.
    """
    paths = find_trials(folder)
    found = {path: {} if failed_attempt(path) else read_json(path / TRIAL, {}) for path in paths}
    failed = {path: None for path in paths if not _finite(found[path].get("validation_metric"))}
    failures = dict(zip(failed, describe_failures(failed, paths), strict=True))
    trials = []
    for path in paths:
        job, failure, overrides = found[path], failures.get(path), read_overrides(path)
        metric = None if failure else job["validation_metric"]
        loss = job.get("validation_loss")
        trials.append(Trial(path.name, overrides, job.get("metric", ""), metric, loss, failure))
    return trials


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def summarize(trials: Sequence[Trial], searched: Sequence[str]) -> Search:
    """Says which of the settings that were tried is the best.

    Args:
        trials: The jobs.
        searched: The settings that were searched for; jobs that have them in common differ in their seed.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Trial]] = {}
    for trial in trials:
        given = dict(each.partition("=")[::2] for each in trial.overrides)
        groups.setdefault(tuple((name, given[name]) for name in searched if name in given), []).append(trial)
    candidates = [_candidate(dict(values), same) for values, same in groups.items()]
    worth = [each for each in candidates if each.metric is not None]
    chosen = max(worth, key=_worth, default=None)
    name = next((trial.metric_name for trial in trials if trial.metric_name), "metric")
    return Search(name, candidates, chosen, list(trials), list(searched))


def _candidate(values: dict[str, str], trials: Sequence[Trial]) -> Candidate:
    metrics, losses = [trial.metric for trial in trials], [trial.loss for trial in trials]
    return Candidate(values, [trial.folder for trial in trials], _mean(metrics), _mean(losses))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def _worth(candidate: Candidate) -> tuple[float, float]:
    assert candidate.metric is not None
    return candidate.metric, -math.inf if candidate.loss is None else -candidate.loss


def as_number(value: str) -> float | None:
    """The number that a value of an override is, if it is one."""
    try:
        return float(value)
    except ValueError:
        return None
