"""Small jobs, in this process and as commands."""

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from lightning import Callback, Trainer
from safetensors.torch import load_file

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.cli.built_job import build_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.cli.session import session
from scd_lightning.config.build import read_settings
from scd_lightning.losses.reduction import completion_cross_entropy, per_sample_mean
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import Artifacts, execute, plan
from scd_lightning.progress import JOB, SWEPT
from scd_lightning.store.layout import MANIFEST
from scd_lightning.store.making import claim
from scd_lightning.store.ownership import MARK
from tests.ledger import (  # noqa: F401 - what pytest finds here, all tests have
    ledger,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

ROOT = Path(__file__).parent.parent
# Models this small gain nothing from a second thread, and forked processes could not use it.
torch.set_num_threads(1)

_BODY = "num_hidden_layers: {}, num_attention_heads: 2, num_key_value_heads: 2, tie_word_embeddings: true"
# A whole run of these sizes takes three seconds.
SMALL = (
    # From scratch: no test that takes these needs a model that knows anything.
    "teacher=scratch",
    "student=scratch",
    "task.data.synthetic.train=48",
    "task.data.synthetic.validation=12",
    "task.data.synthetic.test=14",
    "teacher.architecture={hidden_size: 48, intermediate_size: 96, " + _BODY.format(2) + "}",
    "student.architecture={hidden_size: 32, intermediate_size: 64, " + _BODY.format(1) + "}",
    "teacher.vocab_size=400",
    "student.vocab_size=400",
    "teacher.optimizer.lr=0.002",
    "student.optimizer.lr=0.002",
    "teacher.epochs=2",
    "teacher.checkpoints=3",
    "teacher.global_batch=8",
    "budget.stages=2",
    "budget.stage_epochs=1",
    "budget.global_batch=8",
    "budget.probe_samples=20",
    "logger=none",
    "trainer=cpu",
    # Callbacks of the tests' own.
    "allowed_targets=[conftest,test_memory]",
)


def small(arguments: Sequence[str]) -> list[str]:
    """`SMALL` without what a command line sets itself: a sweep or a search would take both for one setting."""
    given = {each.partition("=")[0] for each in arguments}
    return [each for each in SMALL if each.partition("=")[0] not in given]


MakeJob = Callable[..., Job]
RunJob = Callable[..., Artifacts]
# (kind of training, optimizer step, sample) -> loss before that step.
Losses = dict[tuple[str, int, int], float]
Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


class LossRecorder(Callback):
    """Writes the loss of each sample just before the optimizer step that it takes part in, for every training.

    A command takes it as `+callbacks.record={_target_: conftest.LossRecorder, _partial_: true, folder: ...}`.
    """

    only_watches = True

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @torch.no_grad()
    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        losses = per_sample_mean(
            completion_cross_entropy(pl_module.lm.logits(batch), batch.targets), batch.rows, batch.size
        )
        kind = f"{type(pl_module).__name__} of {pl_module.spec.name}"
        with (self.folder / f"losses-{trainer.global_rank}.jsonl").open("a") as file:
            for index, loss, weight in zip(batch.index.tolist(), losses.tolist(), batch.sample_weight, strict=True):
                if weight > 0:
                    file.write(json.dumps([kind, trainer.global_step, index, loss]) + "\n")


class DyingRank(Callback):
    """Ends process 1 of a student's training as a crash of the machine would."""

    only_watches = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 3 and "student" in pl_module.spec.name:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingJob(Callback):
    """Ends the process of the job with seed 1, as a machine short of memory would."""

    only_watches = True

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)


class FailingRank(Callback):
    """Raises in process 1 of a student's training alone."""

    only_watches = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 3 and "student" in pl_module.spec.name:
            raise ValueError("a defect in one process")


class Poison(Callback):
    """Has a student know a token as NaN, so that its numbers go wrong on the samples that hold it."""

    def __init__(self, token: int) -> None:
        self.token = token

    @torch.no_grad()
    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        if "student" in pl_module.spec.name:
            pl_module.lm.base.get_input_embeddings().weight[self.token] = torch.nan


@pytest.fixture(scope="session")
def poison() -> type[Poison]:
    """The class, for tests that hand it to a job themselves."""
    return Poison


@pytest.fixture(scope="session")
def recorder() -> type[LossRecorder]:
    """The class, for tests that hand it to a job themselves."""
    return LossRecorder


@pytest.fixture(scope="session")
def read_losses() -> Callable[[Path], Losses]:
    """What the `LossRecorder`s of all of a run's processes wrote; each sample of each step once."""

    def read(folder: Path) -> Losses:
        lines = [line for path in folder.glob("losses-*.jsonl") for line in path.read_text().splitlines()]
        found = {(kind, step, index): loss for kind, step, index, loss in map(json.loads, lines)}
        assert len(found) == len(lines)
        return found

    return read


@pytest.fixture(autouse=True, scope="session")
def _as_in_a_terminal() -> None:
    """Signals reach tests and what they start, also where nohup or a shell's `&` had them ignored."""
    for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Hydra's and torch's global state as the test found them; no group of processes that a forked one would be in.

    Nor a job of a sweep: one that ends its process takes its name from the environment only with that.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    distributed.leave()
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    GlobalHydra.instance().clear()
    for name in (JOB, SWEPT):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def make_job_in() -> Callable[[Path], MakeJob]:
    """Makes the `make_job` of a folder; module fixtures use it, tests use `make_job`."""

    def in_folder(folder: Path) -> MakeJob:
        def make(*overrides: str, run: str = "run", store: str = "store", prepared: bool = True) -> Job:
            quiet()
            run_dir = folder / run
            run_dir.mkdir(parents=True, exist_ok=True)
            claim(run_dir, {}, "hydra.run.dir")
            paths = (f"paths.store='{folder / store}'", f"paths.run='{run_dir}'")
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                cfg = compose("config", [*small(overrides), *paths, *overrides])
                job = build_job(read_settings(cfg), run_dir)
            return prepare(job) if prepared else job

        return make

    return in_folder


@pytest.fixture
def make_job(make_job_in: Callable[[Path], MakeJob], tmp_path: Path) -> MakeJob:
    """Makes a small job from overrides; `run` and `store` name folders within the test's own."""
    return make_job_in(tmp_path)


def run(job: PreparedJob) -> Artifacts:
    """Makes all of a prepared job's artifacts, and its run folder where the phases include the report."""
    steps = plan(job)
    made = execute(job, steps)
    if "report" in job.phases:
        report(job, steps, made)
    return made


@pytest.fixture(scope="session")
def run_job() -> RunJob:
    """Runs a prepared job in this process."""
    return run


@pytest.fixture(scope="session")
def made_before(
    make_job_in: Callable[[Path], MakeJob], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., None]:
    """Puts what some phases of a small job make into a store; all tests get copies of what was made once.

    For tests that are about a later phase. What they need is told by the keys, so that it never is anything else.
    """
    make = make_job_in(tmp_path_factory.mktemp("before"))

    @cache
    def made(phases: str, overrides: tuple[str, ...]) -> list[Path]:
        return [
            artifact.folder
            for artifact in run(prepare(make(*overrides, f"phases=[{phases}]", prepared=False))).values()
        ]

    def put(store: Path, phases: str, *overrides: str) -> None:
        for folder in made(phases, overrides):
            shutil.copytree(folder, store / folder.name, dirs_exist_ok=True)

    return put


@pytest.fixture(scope="session")
def outcome() -> Callable[[Job], dict[tuple[str, str], Any]]:
    """All that a job's finished run has left in its store, costs apart: weights and numbers, bit for bit."""

    def read(job: Job) -> dict[tuple[str, str], Any]:
        job = job if isinstance(job, PreparedJob) else prepare(job)
        left: dict[tuple[str, str], Any] = {}
        for step in plan(job):
            found = job.store.find(step.key)
            assert found is not None
            left[step.name, "result"] = json.dumps(vars(found.result))
            for file in sorted(found.folder.rglob("*")):
                name = (step.name, str(file.relative_to(found.folder)))
                if file.suffix == ".safetensors":
                    left[name] = {key: value.numpy().tobytes() for key, value in load_file(file).items()}
                elif file.is_file() and file.name not in (MANIFEST, MARK):  # They name the artifact.
                    left[name] = file.read_bytes()
        return left

    return read


def _rank(rank: int, port: int, work: Callable[[], None]) -> None:
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    os.environ.update({name: str(value) for name, value in where.items()})
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    # A forked process has none of its parent's OpenMP threads, and must not wait for them.
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    work()
    dist.destroy_process_group()


@pytest.fixture(scope="session")
def in_two_processes() -> Callable[[Callable[[], None]], list[int | None]]:
    """Runs something in two processes, as torch's launcher would start them; returns their exit codes."""

    def call(work: Callable[[], None]) -> list[int | None]:
        if torch.cuda.is_available():
            pytest.skip("a process that has used a GPU can't be forked; tests/test_ddp.py starts fresh ones")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=_rank, args=(rank, port, work)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(180)
            process.kill()
        return [process.exitcode for process in processes]

    return call


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts run.py with small sizes as a process of its own; the store is the test's own."""
    started = []

    def call(*arguments: str, torchrun: Sequence[str] = ()) -> subprocess.Popen[str]:
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "SCD_STORE": str(tmp_path / "store"),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        # Hydra takes overrides in one piece only, so flags come first.
        flags = [argument for argument in arguments if argument.startswith("-")]
        overrides = [argument for argument in arguments if argument not in flags]
        launcher = ["-m", "torch.distributed.run", *torchrun] if torchrun else []
        line = [sys.executable, *launcher, str(ROOT / "run.py"), *flags, *small(overrides), *overrides]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(line, env=environment, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield call
    for process in started:
        process.terminate()
        process.communicate()


@pytest.fixture
def command(start: Start) -> Command:
    """Runs run.py like `start`, waits for its end, and expects success unless told otherwise."""

    def call(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        process = start(*arguments)
        out, err = process.communicate(timeout=300)
        done = subprocess.CompletedProcess(arguments, process.returncode, out, err)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return call


RunPy = Callable[..., tuple[int | str | None, str, str]]


@pytest.fixture
def run_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[RunPy]:
    """Runs run.py as a command would, but in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["run.py", *small(arguments), *arguments])
        for name, value in vars(type(session)()).items():
            monkeypatch.setattr(session, name, value)
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "run.py"), run_name="__main__")
        return (ended.value.code, *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCD_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # run.py sets it; so it is taken back afterwards.
    handler = signal.getsignal(signal.SIGINT)  # Likewise.
    yield call
    signal.signal(signal.SIGINT, handler)
    HydraConfig.instance().cfg = None
