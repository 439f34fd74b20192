"""Which runs may be averaged together: those that differ in nothing but their seed."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from scd_lightning.analysis.sweep import SweepRun

# These belong to the method: it is what its name stands for.
_METHOD = ("method.", "objective.")


def identity(results: Mapping[str, Any]) -> tuple[str, ...]:
    """What the runs of one table have in common: task, data and models, each by content and not by name alone."""
    models = [_model(results["models"][role]) for role in ("teacher", "student")]
    return (results["task"], results["data"]["digest"], results["primary_metric"], *models)


def _model(model: Mapping[str, Any]) -> str:
    return "|".join(str(model.get(part)) for part in ("name", "weights", "parameters", "tokenizer"))


def varying(runs: Sequence[SweepRun]) -> list[str]:
    """Settings of which one method has several values, the seed aside: runs with different ones stand apart."""
    methods = {run.method: [other for other in runs if other.method == run.method] for run in runs}
    return [key for key in _keys(runs) if any(len(_found(same, key)) > 1 for same in methods.values())]


def confounded(runs: Sequence[SweepRun]) -> dict[str, dict[str, str]]:
    """Settings, besides the method's own, that differ between methods: setting -> method -> value."""
    apart = set(varying(runs))
    found = {}
    for key in _keys(runs):
        if key not in apart and not key.startswith(_METHOD) and len(_found(runs, key)) > 1:
            found[key] = {run.method: shown(run.settings.get(key)) for run in runs}
    return found


def common_differences(groups: Sequence[Sequence[SweepRun]]) -> list[dict[str, str]]:
    """For each group of runs, the settings that all its runs share and other groups of the same names have otherwise.

    Names are those of task, data and models: what tells a 512-token table from a 256-token one of the same task.
    """
    return [
        _apart(group, [run for other in groups if _names(other) == _names(group) for run in other]) for group in groups
    ]


def _names(group: Sequence[SweepRun]) -> tuple[str, ...]:
    results = group[0].record.results
    models = [results["models"][role]["name"] for role in ("teacher", "student")]
    return (results["task"], results["data"].get("name", ""), results["primary_metric"], *models)


def _apart(group: Sequence[SweepRun], alike: Sequence[SweepRun]) -> dict[str, str]:
    keys = [
        key for key in _keys(alike) if not key.startswith(_METHOD) and not key.endswith(("._target_", "._partial_"))
    ]
    apart = [key for key in keys if len(_found(alike, key)) > 1 and len(_found(group, key)) == 1]
    return {key: shown(group[0].settings.get(key)) for key in apart}


def label(run: SweepRun, keys: Iterable[str]) -> str:
    """Names a run's settings as one would override them: "student.optimizer.lr=0.001 budget.stages=2"."""
    return " ".join(f"{key}={shown(run.settings.get(key))}" for key in keys)


def short_label(run: SweepRun, keys: Sequence[str]) -> str:
    """Names them in short, by the shortest ends of their keys that tell them apart: "lr=0.001 stages=2"."""
    return " ".join(f"{_short(key, keys)}={shown(run.settings.get(key))}" for key in keys)


def _short(key: str, keys: Sequence[str]) -> str:
    parts = key.split(".")
    ends = (".".join(parts[-size:]) for size in range(1, len(parts)))
    alone = (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1)
    return next(alone, key)


def shown(value: Any) -> str:
    """A setting's value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _keys(runs: Sequence[SweepRun]) -> list[str]:
    return list(dict.fromkeys(key for run in runs for key in run.settings))


def _found(runs: Sequence[SweepRun], key: str) -> set[Hashable]:
    """A setting's values; that of the seed itself, as in `split_seed=${seed}`, is no other setting."""
    values = [(run.settings.get(key), run.seed) for run in runs]
    if all(value == seed and value is not None for value, seed in values):
        return set()
    return {repr(value) for value, _ in values}
