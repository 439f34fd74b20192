"""Holding gold answers against themselves, beside encoding the same rows: both are done before anything is trained."""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from benchmarks.floor import timed
from benchmarks.process import fresh
from benchmarks.rows import spread
from benchmarks.settings import ROOT, Settings
from scd_lightning.cli.built_job import build_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.config.build import read_settings
from scd_lightning.pipeline.prepare import shared_tokenizer
from scd_lightning.training.data_module import encode
from scd_lightning.training.gold_answers import judge_gold

TASKS = ("ner", "qa", "classification")
# Training rows, few others, and rounds that count.
_ORDER = {"rows": 10_000, "rounds": 5}
_QUICK_ORDER = {"rows": 60, "rounds": 1}


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a task: {"task", "rows", "rounds", "seconds" and "cpu_seconds": {encode, check: {median, min, max}}}."""
    order = _QUICK_ORDER if settings.quick else _ORDER
    return [fresh(settings, "benchmarks.gold", order | {"task": task}) for task in TASKS]


def rounds(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Encodes and checks the embedded data of a task in turns; the first round warms up.

    Args:
        order: "task", "rows" and "rounds".
        folder: Where a tokenizer that is trained would go.
    """
    quiet()
    sizes = f"{{train: {order['rows']}, validation: 8, test: 8}}"
    overrides = [f"task={order['task']}", f"task.data.synthetic={sizes}", "trainer=cpu", "logger=none"]
    overrides += [f"paths.store='{folder}'", f"paths.run='{folder}'"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        job = build_job(read_settings(compose("config", overrides)), folder)
    data = job.task.read()
    tokenizer = shared_tokenizer(job, data)
    encoded = encode(data, tokenizer)
    parts: dict[str, Callable[[], object]] = {
        "encode": lambda: encode(data, tokenizer),
        "check": lambda: judge_gold(encoded, tokenizer),
    }
    taken = [{name: timed(part, "cpu") for name, part in parts.items()} for _ in range(order["rounds"] + 1)][1:]
    times = {
        clock: {name: spread([each[name][clock] for each in taken]) for name in parts}
        for clock in ("seconds", "cpu_seconds")
    }
    return {**order, **times}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        Path(sys.argv[2]).write_text(json.dumps(rounds(json.loads(sys.argv[1]), Path(root))))
