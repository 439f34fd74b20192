"""Works through blocks: two runs at a time, each on one thread, and a file for each block that is through."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from benchmarks.evidence.blocks import DATA, Block, Run, digest
from benchmarks.evidence.kept import about, read, write
from benchmarks.evidence.rates import NotChosen, Rates
from benchmarks.evidence.study import Study
from benchmarks.machine import commit, machine
from benchmarks.settings import ROOT
from scd_lightning.analysis.records import read_run
from scd_lightning.cli.built_job import build_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.config.build import read_settings
from scd_lightning.errors import ScdError
from scd_lightning.pipeline.job import NUMERIC_FORMAT
from scd_lightning.pipeline.run import run as run_pipeline
from scd_lightning.run_folder.folder import RunFolder

AT_ONCE = 2
_SKIPPED = "is skipped"
_SHOWN = "was shown with other settings, and is not run again: to have it run, delete its file"
# Where it runs, what it shows, and what is measured of answers beside their scores change no number that is kept.
_PLACE = ("trainer=cpu", "logger=none", "evaluate.confidence=false")


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        build: Folder for the store and the runs' own folders.
        data: Folder of the real data sets; None where there is none.
    """

    build: Path
    data: Path | None = None

    def filled(self, overrides: Sequence[str]) -> list[str]:
        """Overrides with the real data's folder in the place of `DATA`."""
        folder = self.data and self.data.absolute()
        return [each.replace(f"='{DATA}/", f"='{folder}/") for each in overrides]

    def lacks(self, block: Block) -> bool:
        """Whether a block's data set is not there."""
        return block.data is not None and (self.data is None or not (self.data / block.data).is_dir())


def state(study: Study, block: Block, rates: Rates) -> str:
    """What there is of a block: "done", "other settings", "missing", or "waits" where its rates are not chosen."""
    try:
        settings = digest(block.runs(rates))
    except NotChosen:
        return "waits"
    kept = read(study.kept, block)
    if kept is None:
        return "missing"
    return "done" if kept.settings == settings else "other settings"


def work(study: Study, blocks: Sequence[Block], places: Places, pool: Executor) -> list[str]:
    """Makes the files of blocks that are not there for today's settings, one block after the other.

    Args:
        study: What is run.
        blocks: The blocks, in order.
        places: Where data, store and runs lie.
        pool: Makes the runs.

    Returns:
        What kept some blocks from being made, in words.
    """
    troubles: list[str] = []
    rates = Rates(study)
    for block in blocks:
        where = f"part {block.part}, {block.name}"
        try:
            said = _at(study, block, rates, places, pool, where)
        except (NotChosen, ScdError) as error:
            said = f"is not made: {error}"
            troubles.append(f"{where} {said}")
        print(f"{where} {said}", flush=True)
        if said.startswith((_SKIPPED, _SHOWN)):
            troubles.append(f"{where} {said}")
    return troubles


def _at(study: Study, block: Block, rates: Rates, places: Places, pool: Executor, where: str) -> str:
    """Makes a block's file unless it is there, and says what was done."""
    runs = block.runs(rates)
    kept = read(study.kept, block)
    if kept is not None and kept.settings == digest(runs):
        return "is there already"
    if kept is not None and block.split == "test":
        return _SHOWN
    if places.lacks(block):
        return f"{_SKIPPED}: there is no data set {block.data} in {places.data or 'DATA='}"
    print(f"{where}: {len(runs)} runs", flush=True)
    return f"is in {_make(study, block, runs, places, pool)}"


def _make(study: Study, block: Block, runs: Sequence[Run], places: Places, pool: Executor) -> Path:
    started = time.perf_counter()
    folder = places.build.absolute() / "runs" / f"part{block.part}" / block.name
    folders = {run.name: folder / run.name for run in runs}
    store = places.build.absolute() / "store"
    jobs = {pool.submit(_run, places.filled(run.overrides), folders[run.name], store): run for run in runs}
    try:
        for number, job in enumerate(as_completed(jobs), 1):
            print(f"  {number} of {len(runs)}: {jobs[job].name}: {job.result()}", flush=True)
    except BaseException:
        for job in jobs:
            job.cancel()
        raise
    records = {name: read_run(path) for name, path in folders.items()}
    content = {
        "part": block.part,
        "kind": block.kind,
        "task": block.task,
        "draw": block.draw,
        "settings": digest(runs),
        "commit": commit(),
        "numeric_format": NUMERIC_FORMAT,
        "machine": machine("cpu"),
        "seconds": round(time.perf_counter() - started),
    }
    return write(study.kept, block, content | about(records, {run.name: run.overrides for run in runs}))


@contextmanager
def processes() -> Iterator[Executor]:
    """Processes for runs, each of one thread."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    pool = ProcessPoolExecutor(AT_ONCE, get_context("spawn"), _start)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Makes a process of the pool ready; it ends with the one that has started it, however that ends."""
    quiet()
    torch.set_num_threads(1)

    def end_too() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=end_too, daemon=True).start()


def _run(overrides: Sequence[str], folder: Path, store: Path) -> str:
    """Makes one run, whose folder is left for its records to be read; what it prints goes into a file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        paths = (f"paths.store='{store}'", f"paths.run='{folder}'")
        settings = read_settings(compose("config", [*_PLACE, *paths, *overrides]))
    with (folder.parent / f"{folder.name}.txt").open("w", buffering=1) as log, redirect_stdout(log):
        run_folder = RunFolder(folder, " ".join(["python", "run.py", *overrides]))
        with closing(run_folder):
            run_folder.open()
            finished = run_pipeline(replace(build_job(settings, folder), folder=run_folder))
            run_folder.finish()
    assert finished is not None
    assert finished.results is not None
    return _line(finished.results)


def _line(results: Mapping[str, Any]) -> str:
    metric = results["primary_metric"]
    values = ", ".join(f"{model} {values[metric]:.3f}" for model, values in results["metrics"].items())
    return f"{metric} on {results['evaluated_split']}: {values}"
