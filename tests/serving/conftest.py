"""Students to serve: a made-up one that does as it is told, and real ones."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from scd_lightning.data.rows import Row, make_row
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.serving.application import make_application
from scd_lightning.serving.bounds import Bounds
from scd_lightning.serving.desk import Desk
from scd_lightning.serving.guard import Access
from scd_lightning.use.answers_given import Chosen, Given
from scd_lightning.use.form import INPUT, Form
from scd_lightning.use.student import Student
from tests.conftest import ROOT

HOSTS = frozenset({"testserver"})


class MadeUp:
    """Answers a text by its length, when it may.

    Args:
        fields: What it is asked.

    Attributes:
        go: While this is not set, it does not answer.
        begun: How many texts of a batch it has begun, batch by batch.
        texts: What it was asked, in that order.
        broken: Texts that it fails on.
    """

    def __init__(self, fields: tuple[str, ...] = ("text",)) -> None:
        task: Any = SimpleNamespace(prompt=SimpleNamespace(kind="classification"))
        self.form = Form(task, 8, 100, fields, ("short", "long"), "accuracy")
        self.go, self.begun, self.texts, self.broken = threading.Event(), list[int](), list[Any](), set[Any]()
        self.go.set()

    def rows(self, given: Sequence[Any]) -> list[Row]:
        values = [self.form.values(each) for each in given]
        return [make_row(each, INPUT, number, INPUT) for number, each in enumerate(values, 1)]

    def digest(self, rows: Sequence[Row]) -> str:
        return "0123456789abcdef"

    def answer(self, rows: Sequence[Row], batch: int) -> Iterator[list[Given]]:
        self.begun.append(len(rows))
        self.texts += [row.values.get("text") for row in rows]
        assert self.go.wait(20)
        if self.broken & {row.values.get("text") for row in rows}:
            raise ArithmeticError(f"with the texts in it: {self.texts}")
        yield [self._one(row) for row in rows]

    def _one(self, row: Row) -> Given:
        text = row.values["text" if "text" in row.values else "question"]
        if not text.strip():
            return Given(row.id, error='Field "text" is empty')
        if text == "hm":  # Not as sure as was asked for.
            return Chosen(row.id, None, 0.5, guess="short", shares={"short": 0.5, "long": 0.5})
        label = "long" if len(text) > 4 else "short"
        return Chosen(row.id, label, 0.75, shares={label: 0.75, "neither": 0.25})

    def token_counts(self, row: Row, answer: str) -> tuple[int, int]:
        return 7, 2


Serve = Callable[..., AbstractContextManager[TestClient]]


@contextmanager
def serving(
    student: Any, bounds: Bounds | None = None, access: Access | None = None, batch: int = 4
) -> Iterator[TestClient]:
    """A client of the application, in this process."""
    desk = Desk.of(student, "student", bounds or Bounds(), batch)
    _, guard = make_application(desk, access or Access(None, HOSTS))
    with TestClient(guard, raise_server_exceptions=False) as client:
        client.app_state["desk"], client.app_state["guard"] = desk, guard
        yield client


@pytest.fixture
def serve() -> Serve:
    """Serves a student for as long as the block runs."""
    return serving


@pytest.fixture
def made_up() -> MadeUp:
    """A student without a model."""
    return MadeUp()


@pytest.fixture(scope="session")
def run_folders(make_job_in: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Task -> the folder of a finished run of it, made once."""
    make, made = make_job_in(tmp_path_factory.mktemp("served")), dict[str, Path]()
    short = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1", "task.max_new_tokens=12")

    def folder(task: str) -> Path:
        if task not in made:
            job = make(f"task={task}", *short, "+student.architecture.initializer_range=0.5", run=task)
            steps = plan(job)
            report(job, steps, execute(job, steps))
            made[task] = job.run_dir
        return made[task]

    return folder


@pytest.fixture(scope="session")
def student(run_folders: Callable[[str], Path]) -> Student:
    """One that chooses among labels."""
    return Student.load(run_folders("classification"), "cpu")


@contextmanager
def served(folder: Path, place: Path, *options: str) -> Iterator[tuple[Any, int]]:
    """`scd serve` as a process of its own: that, and its port."""
    line = [sys.executable, "-m", "scd_lightning", "serve", str(folder), "--port", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        line, cwd=place, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert "answers on http://127.0.0.1:" in told, told + process.stdout.read()
            yield process, int(told.split(";")[0].rpartition(":")[2])
        finally:
            process.kill()
