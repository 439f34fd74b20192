"""The file of a block: what its runs found, small enough to be committed."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.evidence.blocks import Block
from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.statistics import statistic
from scd_lightning.errors import DataError, words_of
from scd_lightning.store.manifest import write_atomically
from scd_lightning.tasks.measures import Mean

ROLES = ("teacher", "anchor", "student")
_COSTS = ("seconds", "cpu_seconds", "samples", "tokens", "teacher_forward_samples", "peak_memory_bytes")


@dataclass(frozen=True)
class Kept:
    """A block's file.

    Attributes:
        content: What it holds; see `about`.
    """

    content: Mapping[str, Any]

    @property
    def settings(self) -> str:
        """Digest of the settings that it was run with."""
        return self.content["settings"]

    @property
    def runs(self) -> Mapping[str, Any]:
        """Its runs by name."""
        return self.content["runs"]

    def model(self, run: str, role: str = "student") -> Mapping[str, Any]:
        """What is kept of a run's teacher, anchor or student."""
        return self.content["models"][self.runs[run][role]]

    def metric(self, run: str, role: str = "student") -> float:
        """The primary metric of a run's teacher, anchor or student on the evaluated split."""
        return self.model(run, role)["metrics"][self.content["metric"]]


def farthest(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], metric: str) -> tuple[float, float]:
    """How far models are from one another on the same samples.

    Args:
        pairs: What is kept of two models each.
        metric: The primary metric.

    Returns:
        The largest difference of the metric, and of the mean losses in nats, both without a sign.
    """
    metrics = [abs(one["metrics"][metric] - other["metrics"][metric]) for one, other in pairs]
    losses = [abs(fmean(one["losses"]) - fmean(other["losses"])) for one, other in pairs]
    return max(metrics), max(losses)


def path_of(folder: Path, block: Block) -> Path:
    """Where a block's file is."""
    return folder / f"part{block.part}" / f"{block.name}.json.gz"


def read(folder: Path, block: Block) -> Kept | None:
    """Reads a block's file; None where there is none.

    Raises:
        DataError: It can't be read.
    """
    path = path_of(folder, block)
    try:
        return Kept(json.loads(gzip.decompress(path.read_bytes())))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        remedy = "delete the file and run its part again"
        raise DataError("A block's file can't be read", where=path, got=words_of(error), remedy=remedy) from error


def write(folder: Path, block: Block, content: Mapping[str, Any]) -> Path:
    """Writes a block's file, whole or not at all, and returns where."""
    path = path_of(folder, block)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Equal content is an equal file: no time is in it.
    packed = gzip.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0)
    write_atomically(path, lambda temporary: temporary.write_bytes(packed))
    return path


def about(records: Mapping[str, RunRecord], overrides: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What is kept of a block's runs.

    Args:
        records: By their names.
        overrides: Theirs.

    Returns:
        "data" and "metric", which all have in common; "runs", each with its overrides, results and the names of its
        teacher, anchor and student; "models", by these names, each once: metrics, and of each sample its score and its
        loss in nats, and what it adds to the sums of the primary metric where that is no mean of scores.
    """
    first = next(iter(records.values()))
    models: dict[str, Any] = {}
    names: dict[str, str] = {}
    runs = {}
    for name, record in records.items():
        roles = {role: _named(models, names, record, role, name) for role in ROLES if role in record.predictions}
        runs[name] = {"overrides": list(overrides[name]), **roles, **_results(record)}
    results = first.results
    return {
        "data": {key: results["data"].get(key) for key in ("name", "digest", "sizes", "generator", "split")},
        "metric": results["primary_metric"],
        "split": results["evaluated_split"],
        "versions": results["versions"],
        "runs": runs,
        "models": models,
    }


def _named(models: dict[str, Any], names: dict[str, str], record: RunRecord, role: str, run: str) -> str:
    """A model's name in the file: equal ones, as a teacher that runs share, have one name."""
    found = _model(record, role)
    content = json.dumps(found, sort_keys=True)
    if content not in names:
        names[content] = f"{role} of {run}"
        models[names[content]] = found
    return names[content]


def _model(record: RunRecord, role: str) -> dict[str, Any]:
    rows, metric = record.predictions[role], record.results["primary_metric"]
    found = {
        "metrics": {name: _short(value, 7) for name, value in record.results["metrics"][role].items()},
        "scores": [_short(row["correct"]) for row in rows],
        "losses": [_short(row["loss"]) for row in rows],
    }
    exact = statistic(record, role, metric)
    if exact is not None and not isinstance(exact.measure, Mean):
        found["sums"] = [[_short(each) for each in row] for row in exact.columns.tolist()]
    return found


def _results(record: RunRecord) -> dict[str, Any]:
    results = record.results
    stages = [{key: _rounded(each.get(key)) for key in ("checkpoint", "mean_weight")} for each in record.stages]
    kept = {key: results[key] for key in ("method", "budget", "convergence")}
    costs = {
        phase: {key: cost[key] for key in _COSTS if key in cost} | {"reused": cost.get("reused")}
        for phase, cost in record.costs.items()
    }
    texts = results["data"].get("unlabelled")
    return kept | {
        "parameters": {role: each["parameters"] for role, each in results["models"].items()},
        "digest": results["data"]["digest"],
        "subdomains": _rounded(results.get("subdomains", {})),
        "stages": stages,
        "costs": costs,
        **({"texts": {key: texts[key] for key in texts if isinstance(texts[key], int | float)}} if texts else {}),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return _short(value, 6) if isinstance(value, float) else value


def _short(value: float, digits: int = 4) -> float | int:
    """A number with few significant digits, whole ones as such."""
    rounded = float(np.format_float_positional(value, digits, unique=False, fractional=False))
    return int(rounded) if rounded.is_integer() else rounded
