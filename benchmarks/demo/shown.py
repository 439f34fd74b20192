"""What the demo has shown: kept from the folder of a sweep, one file for each task, for the pages to be made from."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import commit, machine
from scd_lightning.analysis.comparison.compare import Comparison, compare
from scd_lightning.analysis.comparison.comparison_markdown import markdown_table
from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.errors import ConfigError

FOLDER = Path(__file__).parent / "shown"
TASKS = {"ner": "Named entity recognition", "qa": "Extractive question answering", "classification": "Classification"}


def keep(sweeps: Sequence[Path], made_at: str) -> Path:
    """Keeps a finished sweep of the demo, and what it says together with those of further draws.

    Args:
        sweeps: Its folder, and those of further draws with the same settings.
        made_at: The commit that they were run at.

    Raises:
        ScdError: A folder is that of no sweep, not all jobs finished, or they are not one table of test results; or
            there is no such commit.
    """
    comparison = compare_finished(sweeps[:1])
    further = _further(sweeps) if len(sweeps) > 1 else None
    return write(comparison.settings[0].task, about(comparison, made_at) | {"further": further})


def keep_elsewhere(sweep: Path, made_at: str) -> Path:
    """Keeps what the demo of a task has shown on another machine, beside what is kept of it.

    Args:
        sweep: The folder of its sweep.
        made_at: The commit that it was run at.

    Raises:
        ScdError: As `keep`; or nothing is kept of this demo, or something of another one.
    """
    comparison = compare_finished([sweep])
    found = about(comparison, made_at)
    kept = read(found["task"])
    if kept is None or any(kept[name] != found[name] for name in ("models", "data")) or _runs(kept) != _runs(found):
        raise refused("This is not the demo that is kept: models, data, methods or draws are others", sweep)
    kept["elsewhere"] = [*kept.get("elsewhere", []), {name: found[name] for name in _OF_ELSEWHERE}]
    return write(found["task"], kept)


_OF_ELSEWHERE = ("commit", "machine", "versions", "unconverged", "table", "comparison")


def _runs(kept: dict[str, Any]) -> list[tuple[str, list[int]]]:
    return [(row["method"], row["seeds"]) for row in kept["comparison"]["rows"]]


def about(comparison: Comparison, made_at: str) -> dict[str, Any]:
    """What is kept of any comparison that `compare_finished` has made.

    Args:
        comparison: The comparison.
        made_at: The commit that its runs were made at, on this machine.

    Raises:
        ConfigError: There is no such commit.
    """
    (setting,) = comparison.settings
    results = setting.runs[0].record.results
    return {
        "task": setting.task,
        "commit": commit(made_at),
        "machine": machine("cpu"),
        "versions": results["versions"],
        "models": results["models"],
        "data": results["data"]["generator"]["settings"],
        "unconverged": _unconverged(comparison),
        "table": markdown_table(setting),
        "comparison": _brief(comparison),
    }


def write(name: str, found: dict[str, Any]) -> Path:
    """Writes what is kept under a name, and returns where."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def compare_finished(sweeps: Sequence[Path]) -> Comparison:
    """Compares the runs of finished sweeps, which are one table of test results.

    Args:
        sweeps: Their folders.

    Raises:
        ScdError: A folder is that of no sweep, not all jobs finished, or they are not such a table.
    """
    runs = {sweep: find_runs(sweep) if sweep.is_dir() else [] for sweep in sweeps}
    for sweep, found in runs.items():
        if not found:
            raise refused("There are no runs", sweep)
    comparison = compare([run for found in runs.values() for run in found])
    if comparison.failures or len(comparison.settings) != 1:
        unfinished, tables = len(comparison.failures), len(comparison.settings)
        raise refused(f"{unfinished} jobs did not finish, and the others make {tables} tables", sweeps[-1])
    split = comparison.settings[0].split
    if split != "test":
        raise refused(f"The models were evaluated on the {split} split", sweeps[-1])
    return comparison


def refused(what: str, sweep: Path) -> ConfigError:
    """Why a sweep is not kept."""
    expected = "the folder of a sweep of the demo with all its jobs finished, which make one table of test results"
    return ConfigError(what, where="sweep", got=sweep, expected=expected)


def _further(sweeps: Sequence[Path]) -> dict[str, Any]:
    comparison = compare_finished(sweeps)
    (setting,) = comparison.settings
    seeds = sorted({run.seed for run in setting.runs})
    return {"draws": seeds, "table": markdown_table(setting), "comparison": _brief(comparison)}


def read(name: str) -> dict[str, Any] | None:
    """What is kept under a name, a task's or another; None where nothing is."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def where_measured(kept: dict[str, Any]) -> str:
    """The sentence on commit and machine."""
    machine = kept["machine"]
    kernels = f" ({machine['kernels']})" if "kernels" in machine else ""
    return f"Measured at commit {kept['commit'][:12]} on {machine['cores']} cores of {machine['cpu']}{kernels}."


def warned(kept: dict[str, Any]) -> str:
    """The sentence on trainings that had not converged, or were too long."""
    counts = kept["unconverged"]
    if not counts:
        return "No training of these warns of its budget."
    draws = kept["comparison"]["rows"][0]["n"]
    listed = ", ".join(f"{name} on {count}" for name, count in counts.items())
    return f"Trainings that warn of their budget, on so many of {draws} draws: {listed}."


def _unconverged(comparison: Comparison) -> dict[str, int]:
    """On how many draws each training is warned of: that it had not converged, or was too long."""
    found = set()
    for run in comparison.settings[0].runs:
        for model in {each["model"] for each in run.record.results.get("convergence", [])}:
            # Teacher and anchor are a draw's, whatever the method.
            found.add((f"{model} of {run.method}" if model == "student" else model, run.seed))
    return dict(sorted(Counter(name for name, _ in found).items()))


def _brief(comparison: Comparison) -> dict[str, Any]:
    """The comparison's numbers, without what is in the table already or in each run's own files."""
    (setting,) = comparison.to_dict()["settings"]
    kept = ("seeds", "n", "method", "values", "runs", "gain", "lead")
    return {"rows": [{name: row[name] for name in kept if name in row} for row in setting["rows"]]}
