"""The store in tables for people and in plain values for scripts."""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Column, Table

from scd_lightning.analysis.formatting import disk_size
from scd_lightning.store.collection import Candidate
from scd_lightning.store.inventory import Entry, Inventory

# What models are made from or lead to: most of a list, and seldom what somebody looks for.
SMALL_PRINT = ("confidence", "evaluation", "gold", "signals", "tokenizer")
_NAMES = {"head": "heads of signals", "partial": "unfinished", "removed": "left over by a removal"}
_PLAIN: dict[str, Any] = {"box": None, "header_style": "bold", "pad_edge": False}
# Of many metrics, those that are looked at first.
_METRICS = ("accuracy", "f1", "macro_f1", "kappa", "string_f1", "token_f1")


def plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON values."""
    return {
        "name": entry.name,
        "kind": entry.kind,
        "bytes": entry.bytes,
        "made": _time(entry.made),
        "pinned": entry.pinned,
        "damaged": entry.manifest is None,
        "what": what(entry),
        "runs": [
            {"run": str(run.run), "started": run.started, "live": run.live, "exists": run.exists} for run in entry.runs
        ],
    }


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def what(entry: Entry) -> str:
    """What an artifact came to, in a few words."""
    if entry.manifest is None:
        return "its manifest can't be read"
    if entry.kind == "signals":
        return (
            f"{entry.manifest.get('samples', 'samples')} of {', '.join(entry.teachers) or 'a checkpoint that is gone'}"
        )
    result = entry.manifest.get("result")
    return _result(result) if isinstance(result, Mapping) else "its manifest is damaged"


def _result(result: Mapping[str, Any]) -> str:
    if "trajectory" in result:
        return f"{len(result['trajectory'])} checkpoints, best {result.get('best')}"
    if "metrics" in result:
        metrics = result["metrics"]
        shown = [name for name in _METRICS if name in metrics] or list(metrics)
        return ", ".join(f"{name} {metrics[name]:.3f}" for name in shown[:2])
    if "validation_metric" in result:
        best = "imported" if result.get("imported") else f"best epoch {result.get('best_epoch')}"
        return f"{best}, validation {result['validation_metric']:.3f}"
    return ", ".join(f"{name} {value}" for name, value in result.items() if isinstance(value, int | float | str))


def users(entry: Entry) -> str:
    """Which runs used an artifact: the last one by name, and how many more."""
    if not entry.runs:
        return "no run on record"
    last = max(entry.runs, key=lambda run: (run.live, run.exists, run.started))
    state = "running: " if last.live else "" if last.exists else "gone: "
    name = "/".join(last.run.parts[-2:])
    return f"{state}{name}" + (f" and {len(entry.runs) - 1} more" if len(entry.runs) > 1 else "")


def listing(entries: Iterable[Entry]) -> Table:
    """One line for each artifact."""
    size = Column("size", justify="right", no_wrap=True)
    table = Table(Column("artifact", no_wrap=True), size, Column("made", no_wrap=True), "what", "used by", **_PLAIN)
    for entry in entries:
        pin = " (pinned)" if entry.pinned else ""
        table.add_row(_short(entry.name) + pin, disk_size(entry.bytes), _time(entry.made), what(entry), users(entry))
    return table


def left_out(entries: Sequence[Entry], shown: Sequence[Entry]) -> str:
    """What a listing leaves out, or nothing."""
    hidden = [entry for entry in entries if entry not in shown]
    kinds = [(kind, sum(entry.kind == kind for entry in hidden)) for kind in SMALL_PRINT]
    parts = ", ".join(
        f"{count} {kind if kind == 'signals' or count == 1 else f'{kind}s'}" for kind, count in kinds if count
    )
    return f"and {parts} ({disk_size(sum(entry.bytes for entry in hidden))}); --all lists them" if parts else ""


def _short(name: str) -> str:
    """Enough of a name to tell it from others; `resolve` takes it."""
    kind, _, digest = name.partition("-")
    return f"{kind}-{digest[:8]}"


def usage(inventory: Inventory) -> dict[str, Any]:
    """Number and bytes of each kind, their sum, and the free bytes of the disk."""
    kinds: dict[str, dict[str, int]] = {}
    for entry in inventory.entries:
        kind = kinds.setdefault(entry.kind, {"count": 0, "bytes": 0})
        kind["count"] += 1
        kind["bytes"] += entry.bytes
    total = sum(kind["bytes"] for kind in kinds.values())
    return {"kinds": kinds, "bytes": total, "free_bytes": shutil.disk_usage(inventory.root).free}


def usage_table(values: Mapping[str, Any]) -> Table:
    """`usage` for people."""
    table = Table("what", Column("number", justify="right"), Column("size", justify="right"), **_PLAIN)
    for kind, counts in values["kinds"].items():
        table.add_row(_NAMES.get(kind, kind), str(counts["count"]), disk_size(counts["bytes"]))
    table.add_row("all", "", disk_size(values["bytes"]), style="bold")
    table.add_row("free on this disk", "", disk_size(values["free_bytes"]))
    return table


def candidates_table(candidates: Sequence[Candidate]) -> Table:
    """What can go, and why."""
    table = Table("what", Column("size", justify="right", no_wrap=True), "why it can go", **_PLAIN)
    for each in candidates:
        name = f"{_short(each.entry.name)}{' (unfinished)' if each.entry.kind == 'partial' else ''}"
        table.add_row(name, disk_size(each.entry.bytes), each.reason)
    return table


def details(entry: Entry) -> dict[str, Any]:
    """Everything about one artifact as JSON values."""
    manifest = entry.manifest or {}
    about: dict[str, Any]
    if entry.kind == "signals":
        about = {"of": list(entry.teachers), "manifest": dict(manifest)}
    else:
        about = {name: manifest.get(name) for name in ("key", "result", "costs")}
    command = next((run.command for run in reversed(entry.runs)), None)
    return plain(entry) | {"path": str(entry.path)} | about | {"command": command}


def lines(values: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested values as (dotted name, value), long lists by their length.

    >>> lines({"lr": 0.1, "model": {"width": 8, "curve": [1, 2, 3, 4, 5, 6, 7, 8, 9]}})
    [('lr', '0.1'), ('model.width', '8'), ('model.curve', '9 values')]
    """
    if isinstance(values, Mapping):
        return [line for key, value in values.items() for line in lines(value, f"{name}.{key}".lstrip("."))]
    if isinstance(values, list) and (len(values) > 8 or any(isinstance(each, list | dict) for each in values)):
        return [(name, f"{len(values)} values")]
    return [(name, str(values))]
