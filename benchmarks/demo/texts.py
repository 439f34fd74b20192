"""How ways to learn from texts without labels compare on the tuning draws: kept from sweeps, shown in docs/demo.md."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.analysis.records import read_config, read_results
from scd_lightning.errors import ConfigError

CANDIDATES, FOUND = (Path(__file__).parent / name for name in ("texts.yaml", "texts.json"))
_FIELDS = ("method", "weight", "rate", "draw")
_SECTION = """## Texts without labels

`make demo TEXTS=1` adds students that learn from {texts:,} texts without labels, which the teacher answers, and from
the 600 rows. The ways to do so were listed before any was measured, and are compared on draws {draws} by the validation
split, all students at {samples:,} samples. `{rival}` is fine-tuned on the same answers as if they were labels; u is the
share of the teacher's distribution in a text's loss (`unlabelled.weight`).

{table}

{missing}Mean F1 on validation and each draw; "against {rival}" is the mean difference on the same draws, at one rate.
On these draws the teacher has {teacher:.3f}, and the student fine-tuned on the rows alone {anchor:.3f}.
"""


def keep(sweeps: Sequence[Path]) -> Path:
    """Adds what sweeps on the tuning draws have found to what is kept.

    Args:
        sweeps: Their folders.

    Raises:
        ConfigError: A run is not one of the candidates', or has read a test row.
    """
    wanted = yaml.safe_load(CANDIDATES.read_text(encoding="utf-8"))
    records = {_key(each): each for each in read()}
    for folder in [run for sweep in sweeps for run in find_runs(sweep)]:
        record = _record(folder, wanted)
        records[_key(record)] = record
    lines = ",\n".join(json.dumps(records[key]) for key in sorted(records))
    FOUND.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return FOUND


def read() -> list[dict[str, Any]]:
    """What is kept: for each run its method, u, rate and draw, and the validation metrics of its models."""
    return json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else []


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in _FIELDS)


def _record(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    results, config = read_results(folder), read_config(folder)
    seen = {
        "draw": results["seed"] in wanted["draws"],
        "evaluated split": results["evaluated_split"] == "validation",
        "validation rows": results["data"]["sizes"]["validation"] == wanted["validation"],
        "texts": results["data"].get("unlabelled", {}).get("texts") == wanted["texts"],
        "samples": results["budget"].get("samples") == wanted["samples"],
        "method": results["method"] in (*wanted["methods"], wanted["rival"]),
    }
    if wrong := [name for name, right in seen.items() if not right]:
        expected = "a run as in texts.yaml, on a tuning draw and evaluated on validation"
        raise ConfigError("This is no run of the candidates", where=folder, got=", ".join(wrong), expected=expected)
    # The answers as labels have no teacher's distribution to be weighed.
    weight = 0.0 if results["method"] == wanted["rival"] else config["unlabelled"]["weight"]
    rate = config["student"]["optimizer"]["lr"] * config["method"]["lr_scale"] * config["budget"]["lr_scale"]
    metrics = {name: values[results["primary_metric"]] for name, values in results["metrics"].items()}
    found = {"method": results["method"], "weight": weight, "rate": float(f"{rate:.3g}"), "draw": results["seed"]}
    return found | metrics


def section() -> str:
    """The part of docs/demo.md; nothing before anything is kept."""
    records = read()
    if not records:
        return ""
    wanted = yaml.safe_load(CANDIDATES.read_text(encoding="utf-8"))
    groups: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(_key(record)[:3], {})[record["draw"]] = record
    by_draw = {record["draw"]: record for record in records}
    whole = {key[:2] for key, runs in groups.items() if len(runs) == len(wanted["draws"])}
    pairs = [(method, weight) for method in wanted["methods"] for weight in wanted["weights"]]
    missing = [f"{method} with u = {weight:g}" for method, weight in pairs if (method, weight) not in whole]
    return _SECTION.format(
        texts=wanted["texts"],
        samples=wanted["samples"],
        draws=f"{wanted['draws'][0]} to {wanted['draws'][-1]}",
        rival=wanted["rival"],
        table=_table(groups, wanted),
        missing=f"Not measured on all draws yet: {', '.join(missing)}. " if missing else "",
        teacher=fmean(each["teacher"] for each in by_draw.values()),
        anchor=fmean(each["anchor"] for each in by_draw.values()),
    )


def _table(groups: Mapping[tuple[Any, ...], Mapping[int, Mapping[str, Any]]], wanted: Mapping[str, Any]) -> str:
    draws = wanted["draws"]
    head = ["method", "u", "rate", "mean", *(f"draw {draw}" for draw in draws), f"against {wanted['rival']}"]
    lines = [head, ["---"] * len(head)]
    for (method, weight, rate), runs in sorted(groups.items(), key=lambda group: -_mean(group[1])):
        rival = groups.get((wanted["rival"], 0.0, rate), {})
        both = [draw for draw in draws if draw in runs and draw in rival and method != wanted["rival"]]
        gains = [runs[draw]["student"] - rival[draw]["student"] for draw in both]
        values = [f"{runs[draw]['student']:.3f}" if draw in runs else "" for draw in draws]
        mean = f"{_mean(runs):.3f}" if len(runs) == len(draws) else ""
        gain = f"{fmean(gains):+.3f}" if len(gains) == len(draws) else ""
        lines.append([method, f"{weight:g}" if weight else "", f"{rate:g}", mean, *values, gain])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _mean(runs: Mapping[int, Mapping[str, Any]]) -> float:
    return fmean(each["student"] for each in runs.values())
