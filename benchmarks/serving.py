"""`scd serve` under load: one client and many, what a SIGTERM loses, and what servers that decode greedily answer."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.candidates import REAL_DATA
from benchmarks.commands import run_python
from benchmarks.load import Clients, Found
from benchmarks.process import fresh
from benchmarks.rows import Row
from benchmarks.served import served
from benchmarks.settings import Settings

TASKS = ("classification", "ner")
CHOOSES = "classification"
# Labels of several words, 77 of them, where their folder is at hand: it is on such that greedy decoding may go astray.
_REAL = "banking77"
_REAL_SIZES = ("task.data.max_samples={train: 1500, validation: 60, test: 400}", "task.data.allow_overlap=true")
# A student fine-tuned alone: by which method it has learnt changes nothing of how it is served.
_TRAINED = (
    "teacher=embedded",
    "student=embedded",
    "method=sft",
    "teacher.epochs=1",
    "teacher.checkpoints=1",
    "budget.stages=1",
    "logger=none",
)
_SIZES = ("task.data.synthetic={train: 600, validation: 60, test: 300}",)
_EPOCHS = "budget.stage_epochs=20"
_QUICK_SIZES = ("debug=smoke",)
# Way -> clients, texts of a request, and options of the server.
WAYS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "one client, one text at a time": (1, 1, ()),
    "64 clients, no batches": (64, 1, ("--batch", "1")),
    "64 clients": (64, 1, ()),
    "one client, 256 texts a request": (1, 256, ()),
}
# Seconds of a way in a round, and rounds.
_SECONDS, _ROUNDS = 3.0, 5
# Of the end: clients, servers, and seconds before each is told.
_CLIENTS, _ENDS, _BEFORE_SIGNAL = 64, 3, 2.0


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of each task's student: one a way, and one of its end; and one on greedy decoding of each that chooses.

    Args:
        settings: The settings.
    """
    sizes = _QUICK_SIZES if settings.quick else (*_SIZES, _EPOCHS)
    for task in TASKS:
        folder = _student(settings, task, f"task={task}", *sizes)
        texts = [json.loads(line)["input"] for line in _lines(folder, "samples")]
        for row in _of_ways(settings, folder, texts):
            yield _told({"name": task} | row)
        yield _told({"name": task, "way": "SIGTERM"} | _of_end(settings, folder, texts))
        if task == CHOOSES:
            yield _greedy(settings, task, folder)
    if os.environ.get(REAL_DATA) and not settings.quick:
        path = f"task.data.path='{Path(os.environ[REAL_DATA]) / _REAL}'"
        folder = _student(settings, _REAL, f"task={CHOOSES}", path, *_REAL_SIZES, _EPOCHS)
        yield _greedy(settings, _REAL, folder)


def _greedy(settings: Settings, name: str, folder: Path) -> Row:
    return _told({"name": name, "way": "greedy"} | fresh(settings, "benchmarks.greedy", {"folder": str(folder)}))


def _told(row: Row) -> Row:
    print(row, file=sys.stderr, flush=True)
    return row


def _student(settings: Settings, name: str, *overrides: str) -> Path:
    """The folder of a run that has trained one."""
    folder = settings.folder / f"serving-{name}"
    places = [f"paths.store='{settings.folder / 'serving-store'}'", f"hydra.run.dir='{folder}'"]
    environment = settings.environment | {"OMP_NUM_THREADS": "1"}
    run_python(["run.py", *_TRAINED, *overrides, *places], environment)
    return folder


def _lines(folder: Path, name: str) -> list[str]:
    return (folder / "predictions" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


def _of_ways(settings: Settings, folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    """What each way to load a server comes to. They take turns, so that whatever else the machine does falls on all."""
    seconds, rounds = (1.0, 1) if settings.quick else (_SECONDS, _ROUNDS)
    found, taken = {way: Found() for way in WAYS}, dict.fromkeys(WAYS, 0.0)
    with ExitStack() as stack:
        needed = {options for _, _, options in WAYS.values()}
        ports = {options: stack.enter_context(served(settings, folder, *options))[1] for options in needed}
        # The first round warms up.
        for turn in range(rounds + 1):
            for way, (clients, texts_each, options) in WAYS.items():
                asked, start = Clients(ports[options], texts, texts_each), time.perf_counter()
                asyncio.run(asked.ask(clients, seconds))
                if turn:
                    taken[way] += time.perf_counter() - start
                    found[way].add(asked.found)
    return [{"way": way} | _row(found[way], taken[way], *WAYS[way][:2]) for way in WAYS]


def _row(found: Found, seconds: float, clients: int, texts_each: int) -> dict[str, Any]:
    latency = {"p50": found.percentile(0.5), "p99": found.percentile(0.99), "max": max(found.seconds)}
    counts = {"requests": len(found.seconds), "texts": len(found.seconds) * texts_each}
    return {"clients": clients, **counts, "seconds": seconds, "latency": latency, **_failures(found)}


def _failures(found: Found) -> dict[str, int]:
    return {"errors": found.errors, "lost": found.lost, "refused": found.refused}


def _of_end(settings: Settings, folder: Path, texts: list[str]) -> dict[str, Any]:
    """What becomes of requests at a SIGTERM under load, over several servers."""
    rounds = 1 if settings.quick else _ENDS
    total, codes = Found(), []
    for _ in range(rounds):
        with served(settings, folder) as (process, port):
            asked = Clients(port, texts)

            async def load(asked: Clients = asked, pid: Any = process) -> None:
                asyncio.get_running_loop().call_later(_BEFORE_SIGNAL, pid.send_signal, signal.SIGTERM)
                await asked.ask(_CLIENTS, 60)

            asyncio.run(load())
            codes.append(process.wait(60))
        total.add(asked.found)
    return {"clients": _CLIENTS, "rounds": rounds, "requests": len(total.seconds), **_failures(total), "codes": codes}
