"""Runs that are killed at random moments, and in the middle of writing, and started again until they are done."""

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning import Callback

from scd_lightning.pipeline.prepare import prepare

EVERY = 3
RUN = ("method=scd_aw", "budget.stage_epochs=2", "task.evaluation_batch=4", f"resume.every_steps={EVERY}")
# What changes something on the disk: a kill just before one of these is one in the middle of a write.
WRITES = ("fsync", "replace", "rename", "link", "unlink", "rmdir", "mkdir")
REPORTED = ("results.json", "schedule.json", "curves.json", "predictions/student.jsonl", "student/model.safetensors")


class Steps(Callback):
    """Notes each optimizer step in a file, before anything of it is saved."""

    def __init__(self, file: Path) -> None:
        self.file, self._last = file, -1

    def on_train_start(self, trainer, pl_module) -> None:
        self._last = trainer.global_step

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        if trainer.global_step != self._last:
            self._last = trainer.global_step
            with self.file.open("a") as file:
                file.write(f"{pl_module.phase} {self._last}\n")


def kill_before_write(count, number: int) -> None:
    """Has this process kill itself before one of its writes; of a file that is about to be safe, half is there.

    Args:
        count: Counts the writes, for the process that started this one too.
        number: Which of them; 0 for none.
    """

    def patch(name: str, original: Callable) -> Callable:
        def call(*arguments, **options):
            count.value += 1
            if count.value == number:
                if name == "fsync":
                    with contextlib.suppress(OSError):  # A folder, or a file that is open for reading.
                        path = Path(os.readlink(f"/proc/self/fd/{arguments[0]}"))
                        os.truncate(path, path.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return call

    for name in WRITES:
        setattr(os, name, patch(name, getattr(os, name)))


class Pipeline:
    """A small but whole run, each attempt in a process of its own."""

    def __init__(self, make_job_in, run_job, outcome, folder: Path) -> None:
        self.folder, self.run_job, self.outcome = folder, run_job, outcome
        self.make = partial(make_job_in(folder), *RUN)
        self.attempts = 0

    def _work(self, steps: Path, doom: Callable[[], None]) -> None:
        torch.set_num_threads(1)
        doom()
        job = self.make(prepared=False)
        job.callbacks = [partial(Steps, steps)]
        job = prepare(job)
        self.run_job(job)

    def attempt(self, doom: Callable[[], None] = lambda: None, seconds: float | None = None) -> bool:
        """Starts it, and kills it after a time; whether it got to its end before."""
        steps = self.folder / f"steps-{self.attempts}"
        self.attempts += 1
        process = multiprocessing.get_context("fork").Process(target=self._work, args=(steps, doom))
        process.start()
        process.join(120 if seconds is None else seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
        return process.exitcode == 0

    def repeated(self) -> int:
        """The most steps that an attempt made again which the one before had made."""
        files = [self.folder / f"steps-{number}" for number in range(self.attempts)]
        made = [[line.split() for line in file.read_text().splitlines()] if file.exists() else [] for file in files]
        latest: dict[str, int] = {}
        worst = 0
        for steps in made:
            first = {stage: int(step) for stage, step in reversed(steps)}
            worst = max([worst, *(latest.get(stage, 0) - step + 1 for stage, step in first.items() if stage in latest)])
            latest |= {stage: int(step) for stage, step in steps}
        return worst

    def left(self) -> dict:
        """What the finished run left, in the store and in its folder."""
        job = self.make()
        found = self.outcome(job)
        return found | {("run", name): (job.run_dir / name).read_bytes() for name in REPORTED}


@pytest.fixture(scope="module")
def pipeline(make_job_in, run_job, outcome, tmp_path_factory):
    if torch.cuda.is_available():
        pytest.skip("a process that has used a GPU can't be forked")
    return lambda name: Pipeline(make_job_in, run_job, outcome, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def undisturbed(pipeline) -> tuple[dict, float, int]:
    """What a run leaves, how long it takes, and how often it writes."""
    one, count = pipeline("undisturbed"), multiprocessing.Value("i", 0)
    start = time.monotonic()
    assert one.attempt(partial(kill_before_write, count, 0))
    seconds = time.monotonic() - start
    assert one.repeated() == 0
    return one.left(), seconds, count.value


def many(number: int):
    """A short form, and the full one."""
    return pytest.mark.parametrize("wanted", [2, pytest.param(number, marks=pytest.mark.slow)])


@many(40)
def test_killed_at_random_moments(pipeline, undisturbed, ledger, wanted):
    expected, seconds, _ = undisturbed
    chance = random.Random(f"moments {wanted}")
    kill(
        pipeline,
        lambda one: one.attempt(seconds=chance.uniform(0.1, seconds)),
        wanted,
        expected,
        ledger,
        "SIGKILL at a random moment",
    )


@many(10)
def test_killed_in_the_middle_of_a_write(pipeline, undisturbed, ledger, wanted):
    expected, _, writes = undisturbed
    chance = random.Random(f"writes {wanted}")

    def attempt(one: Pipeline) -> bool:
        return one.attempt(partial(kill_before_write, multiprocessing.Value("i", 0), chance.randint(1, writes)))

    kill(pipeline, attempt, wanted, expected, ledger, "SIGKILL in the middle of a write")


def kill(pipeline, attempt, wanted: int, expected: dict, ledger, fault: str) -> None:
    """Kills runs, each again and again until it gets through, as often as wanted in all."""
    while wanted > 0:
        one, killed = pipeline("killed"), 0
        while killed < wanted and not attempt(one):
            killed += 1
        if killed == wanted:
            assert one.attempt()
        check(one, expected, ledger, fault, killed)
        wanted -= killed


def check(one: Pipeline, expected: dict, ledger, fault: str, killed: int) -> None:
    repeated, left = one.repeated(), one.left()
    unequal = {name for name in expected.keys() | left.keys() if expected.get(name) != left.get(name)}
    unfinished = [path.name for path in one.folder.glob("store/*.partial")]
    survived = repeated <= EVERY and not unequal and not unfinished
    for _ in range(killed):
        ledger.record(fault, survived, steps=repeated)
    assert survived, (one.folder, repeated, unequal, unfinished)
