"""What texts without labels add on the demo's draws: kept from two sweeps, shown in docs/demo.md."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.demo import shown
from benchmarks.demo.texts import Wanted, read_wanted, student_rate
from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison.compare import Setting
from scd_lightning.analysis.comparison.comparison_rows import Row, interval_of, pair
from scd_lightning.analysis.comparison.sweep_runs import SweepRun, find_runs
from scd_lightning.analysis.records import read_json
from scd_lightning.analysis.standing import standing

_CORES = 2
_INTRODUCTION = """### What texts add on other draws

On draws {draws}, by the test split: all students at {samples:,} samples, `{best}` and `{rival}` with {texts:,} texts
among them. These draws have chosen nothing above. Before the first of these runs `{best}` was expected to be {points}
points or more above its teacher, and as much above `{rival}`.
"""
_TASK = """#### {name}

{table}

- Expected of {best}: {points} points or more above its teacher. {teacher}
- Expected of {best}: {points} points or more above {rival}. {against}

{warned} The texts add {seconds:.0f} CPU-seconds of answering, training and evaluating, {minutes:.0f} minutes on {cores}
idle cores; {rates}. {where}
"""


def keep(labels: Path, texts: Path, made_at: str) -> Path:
    """Keeps the two sweeps of `make demo TEXTS=1`, as one table.

    Args:
        labels: The finished sweep of students that learn from labels alone.
        texts: That of those that learn from texts without labels too.
        made_at: The commit that both were run at.

    Raises:
        ScdError: They are not that, or not on all draws; or there is no such commit.
    """
    comparison, wanted = shown.compare_finished([labels, texts]), read_wanted()
    (setting,) = comparison.settings
    _check(setting, wanted, texts)
    rows = {row.method: row for row in setting.rows}
    best, rival = rows[wanted.best], rows[wanted.rival]
    found = shown.about(comparison, made_at) | {
        "rates": {row.method: student_rate(row.runs[0].record.config) for row in (best, rival)},
        "added_cpu_seconds": round(added_cpu_seconds(labels, texts), 1),
        "ahead": {"teacher": _ahead(best, best, "teacher"), wanted.rival: _ahead(best, rival, "student")},
    }
    return shown.write(_name(setting.task), found)


def _name(task: str) -> str:
    return f"{task}-texts"


def _check(setting: Setting, wanted: Wanted, sweep: Path) -> None:
    draws, methods = list(wanted.shown["draws"]), wanted.shown["methods"]
    wrong = [f"{row.name} on {row.seeds}" for row in setting.rows if row.seeds != draws or row.repeated]
    wrong += sorted({row.method for row in setting.rows} ^ set(methods))
    wrong += [f"{run.folder.name} of {run.method}" for run in setting.runs if not _is_wanted(run, wanted)]
    if wrong:
        expected = f"{', '.join(methods)} on draws {draws}, as `make demo TEXTS=1` has them"
        raise shown.refused(f"Not so: {'; '.join(wrong)}. They should be {expected}", sweep)


def _is_wanted(run: SweepRun, wanted: Wanted) -> bool:
    """Whether a run has the samples, and the texts, that its method should have."""
    results = run.record.results
    texts = results["data"].get("unlabelled", {}).get("texts")
    expected = wanted.texts if run.method in (wanted.best, wanted.rival) else None
    return (results["budget"].get("samples"), texts) == (wanted.samples, expected)


def _ahead(ours: Row, theirs: Row, model: str) -> dict[str, Any]:
    """A row's student minus a model of another one, with its interval."""
    found = interval_of(pair(ours, theirs), "student", model)
    assert found is not None
    return asdict(found)


def added_cpu_seconds(labels: Path, texts: Path) -> float:
    """CPU-seconds of what the runs of one sweep need beyond those of another, each phase's work counted once.

    Args:
        labels: The folder of the sweep that is there anyway.
        texts: That of the other one.
    """
    there, added = (_costs(sweep) for sweep in (labels, texts))
    return sum(seconds for artifacts, seconds in added.items() if artifacts not in there)


def _costs(sweep: Path) -> Mapping[frozenset[str], float]:
    """CPU-seconds by the artifacts that they made: runs that share some each tell what these had cost."""
    phases = [phase for run in find_runs(sweep) for phase in read_json(run / "costs.json", {}).values()]
    return {frozenset(phase["artifacts"]): phase["cpu_seconds"] for phase in phases}


def tables() -> list[str]:
    """The part of docs/demo.md; nothing before anything is kept."""
    wanted = read_wanted()
    kept = {name: found for task, name in shown.TASKS.items() if (found := shown.read(_name(task)))}
    if not kept:
        return []
    draws = wanted.shown["draws"]
    introduction = _INTRODUCTION.format(draws=f"{draws[0]} to {draws[-1]}", **_words(wanted))
    return [introduction, *(_table(name, found, wanted) for name, found in kept.items())]


def _words(wanted: Wanted) -> dict[str, Any]:
    points = f"{100 * wanted.shown['ahead']:.0f}"
    common = {"best": wanted.best, "rival": wanted.rival, "points": points}
    return common | {"samples": wanted.samples, "texts": wanted.texts}


def _table(name: str, kept: Mapping[str, Any], wanted: Wanted) -> str:
    ahead = {other: Interval(**found) for other, found in kept["ahead"].items()}
    seconds = kept["added_cpu_seconds"]
    return _TASK.format(
        name=name,
        table=kept["table"].rstrip(),
        teacher=_found(ahead["teacher"], "its teacher", wanted),
        against=_found(ahead[wanted.rival], wanted.rival, wanted),
        warned=shown.warned(dict(kept)),
        seconds=seconds,
        minutes=seconds / _CORES / 60,
        cores=_CORES,
        rates=", ".join(f"the rate of {method} is {rate:g}" for method, rate in kept["rates"].items()),
        where=shown.where_measured(dict(kept)),
        **_words(wanted),
    )


def _found(ahead: Interval, other: str, wanted: Wanted) -> str:
    reached = "Reached" if ahead.value >= wanted.shown["ahead"] else "Not reached"
    return f"{reached}: it is {standing(ahead, other, 'draw')}."
