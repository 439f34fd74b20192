"""What a run left in its folder, read back; and the words that tables and reports share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from scd_lightning.config.size_limits import DATA
from scd_lightning.errors import StoreError, words_of
from scd_lightning.tasks.known import task_of
from scd_lightning.tasks.measures import ByLabel, Measure
from scd_lightning.tasks.task import Task

try:  # The C loader is ten times as fast, where PyYAML has it.
    from yaml import CSafeLoader as _Loader
except ImportError:
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

# The order in which tables list the models of a run, and how they call them; the untuned ones last, where a phone need
# not show them.
MODEL_NAMES = {
    "teacher": "teacher",
    "anchor": "anchor",
    "student": "student",
    "base_teacher": "base teacher",
    "base_student": "base student",
}
RESULTS = "results.json"
# In its place, what a run that ended early had until then.
PARTIAL = "partial.json"
# The files besides, by the names of a `RunRecord`: what is there of one that a run did not leave.
_TABLES = {"costs": dict, "schedule": dict, "trajectory": list, "curves": dict, "confidence": dict, "run": dict}
PREDICTORS = ("teacher", "anchor", "student")
# The method whose student is the anchor: plain fine-tuning.
PLAIN = "sft"
_AGAIN = "delete the file and run again"


@dataclass(frozen=True)
class RunRecord:
    """The saved files of one finished run; what its method does not make is empty.

    Attributes:
        results: results.json.
        costs: costs.json, by phase.
        schedule: schedule.json.
        trajectory: The teacher's checkpoints on the validation split, in order of their steps.
        curves: For teacher, anchor and student, one point an epoch.
        predictions: For teacher, anchor and student, one row per test sample, in the same order.
        samples: The test samples themselves, in that order; empty for runs that did not save them.
        run: run.json: the command, and when it started and finished.
        config: config.yaml.
        confidence: confidence.json, how far the student's probabilities can be relied on.
        task: What the run's task declares; None where it is neither this package's nor allowed.
    """

    results: dict[str, Any]
    costs: dict[str, dict[str, Any]]
    schedule: dict[str, Any]
    trajectory: list[dict[str, Any]]
    curves: dict[str, list[dict[str, Any]]]
    predictions: dict[str, list[dict[str, Any]]]
    samples: list[dict[str, Any]]
    run: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    confidence: dict[str, Any] = field(default_factory=dict)
    task: type[Task] | None = None

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """The task's metrics."""
        settings = self.results["data"].get("settings")
        return {} if self.task is None or settings is None else self.task.measures(settings)

    @cached_property
    def by_label(self) -> ByLabel | None:
        """How the task's answers count label by label; None where it has no labels, or is not known."""
        if self.task is None:
            return None
        return self.task.by_label(self.results["data"].get("settings") or {}, self.results["primary_metric"])

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The schedule's stages; without a schedule.json what results.json has of them."""
        return self.schedule.get("stages") or self.results.get("schedule") or []

    def cost_rows(self) -> list[dict[str, Any]]:
        """A row of plain values for each phase, with its name as "phase"."""
        return [
            {"phase": phase} | {name: value for name, value in cost.items() if not isinstance(value, dict)}
            for phase, cost in self.costs.items()
        ]


def read_run(folder: Path, allowed: Sequence[str] = ()) -> RunRecord:
    """Reads a run folder.

    Args:
        folder: The folder.
        allowed: See `task_of`.

    Raises:
        StoreError: results.json is missing, a file is not JSON, or predictions are not of the same samples.
    """
    results, config = read_results(folder), read_config(folder)
    record = RunRecord(
        results=results,
        **_tables(folder),
        config=config,
        task=task_of(results["task"], config, allowed),
        predictions={name: rows for name in PREDICTORS if (rows := read_predictions(folder, name))},
        samples=read_predictions(folder, "samples"),
    )
    tables = [*record.predictions.values(), *([record.samples] if record.samples else [])]
    orders = {tuple(row["id"] for row in rows) for rows in tables}
    if len(orders) > 1:
        raise StoreError(
            "The models' predictions are not of the same samples",
            where=folder / "predictions",
            expected="the same ids in the same order in each file",
            remedy="run the evaluation again",
        )
    return record


def read_config(folder: Path) -> dict[str, Any]:
    """Reads a run's config.yaml; empty where there is none.

    Raises:
        StoreError: It is not YAML.
    """
    path = folder / "config.yaml"
    if not path.exists():
        return {}
    try:
        config = yaml.load(_text(path), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StoreError("A saved configuration can't be read", where=path, got=words_of(error)) from error
    return config if isinstance(config, dict) else {}


def ended_early(folder: Path) -> bool:
    """Whether a folder is that of a run that ended early and was not finished since."""
    return (folder / PARTIAL).exists() and not (folder / RESULTS).exists()


def read_partial_run(folder: Path) -> RunRecord:
    """Reads the folder of a run that ended early: as `results`, its partial.json; predictions are none of its.

    Raises:
        StoreError: partial.json is missing, or a file is not JSON.
    """
    partial = read_json(folder / PARTIAL, None)
    if partial is None:
        expected = f"a {PARTIAL} in it"
        raise StoreError("This is not the folder of a run that ended early", where=folder, expected=expected)
    return RunRecord(partial, **_tables(folder), predictions={}, samples=[])


def _tables(folder: Path) -> dict[str, Any]:
    return {name: read_json(folder / f"{name}.json", empty()) for name, empty in _TABLES.items()}


def read_results(folder: Path) -> dict[str, Any]:
    """Reads results.json of a finished run; StoreError where the run has none."""
    results = read_json(folder / RESULTS, None)
    if results is None:
        raise StoreError(
            "This is not the folder of a finished run",
            where=folder,
            expected=f"a {RESULTS} in it",
            remedy="name a run folder, or run again what stopped early",
        )
    return results


def read_json(path: Path, default: Any) -> Any:
    """Reads a JSON file, or gives the default where there is none; StoreError where it is damaged."""
    if not path.exists():
        return default
    return _parse(_text(path), str(path))


def evaluated_split(results: Mapping[str, Any]) -> str:
    """The split that metrics, decompositions and predictions are of."""
    return results.get("evaluated_split", "test")


def data_name(results: Mapping[str, Any]) -> str:
    """What the data are called, or else the task."""
    return results["data"].get("name") or results["task"]


def metric_names(results: dict[str, Any]) -> list[str]:
    """Lists the metrics of all models of a run, the primary one first."""
    names = dict.fromkeys(name for values in results["metrics"].values() for name in values)
    primary = results["primary_metric"]
    return [primary, *(name for name in names if name != primary)]


def decompositions(results: dict[str, Any]) -> list[tuple[str, str, dict[str, float]]]:
    """Lists the recorded SFS/TFS decompositions as (which model, loss or error, values)."""
    return [
        (pair.removesuffix("_vs_teacher"), risk, values)
        for pair, risks in results.get("subdomains", {}).items()
        for risk, values in risks.items()
    ]


def read_predictions(folder: Path, name: str) -> list[dict[str, Any]]:
    """Reads a model's predictions, or the samples themselves (name "samples"); empty where there are none."""
    path = folder / "predictions" / f"{name}.jsonl"
    if not path.exists():
        return []
    # Not str.splitlines: an answer may hold a line separator of Unicode, which is no end of a JSON line.
    lines = _text(path).split("\n")
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line]


def _text(path: Path) -> str:
    DATA.check_file(path, "A saved file is larger than is read", StoreError)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StoreError("A saved file is no text", where=path, got=str(error), remedy=_AGAIN) from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError("A saved file is not valid JSON", where=where, got=words_of(error), remedy=_AGAIN) from error
