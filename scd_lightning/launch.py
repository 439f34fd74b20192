"""From a composed configuration to a finished job: in this process, or in one process for each device."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from scd_lightning import smoke
from scd_lightning.errors import ConfigError, ScdError, StoreError

if TYPE_CHECKING:
    from filelock import FileLock

    from scd_lightning.loggers.base import JobLoggers
    from scd_lightning.pipeline.job import Job
    from scd_lightning.pipeline.runner import Step

# Set in the ranks that a parent started: they make what it planned, and report nothing.
WORKER = "SCD_WORKER"
FAILURE = "failure.json"
# The command line of a job, and when it started and finished.
RUN = "run.json"

# The process's exit code, set by `launch` and by `SweepComparison`: Hydra itself knows success and 1 only.
exit_code = 0
# Whether a job got as far as `launch`: what goes wrong before is Hydra's, such as a folder that it can't make.
started = False


class WorkersFailed(RuntimeError):
    """The processes of a distributed job ended with an error, which they have shown."""


def launch(cfg: DictConfig) -> None:
    """Runs one job. A mistake in its input is printed as a paragraph and recorded; a sweep goes on with its next job.

    Args:
        cfg: The composed configuration.
    """
    global started
    started = True
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    (run_dir / FAILURE).unlink(missing_ok=True)
    try:
        _run(cfg, run_dir)
    except Exception as error:
        _record_failure(run_dir, error)
        if isinstance(error, ScdError):
            _fail(error)
        elif _in_sweep():
            import traceback

            traceback.print_exc()
            _set_exit_code(1)
        else:
            raise


def _fail(error: ScdError) -> None:
    if os.environ.get("RANK", "0") == "0":
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
    _set_exit_code(error.exit_code)


def tells() -> bool:
    """Whether this process speaks for the job: one of several that Ctrl-C ends alike."""
    return WORKER not in os.environ and os.environ.get("RANK", "0") == "0"


def _set_exit_code(code: int) -> None:
    global exit_code
    exit_code = code


def _in_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _record_failure(run_dir: Path, error: Exception) -> None:
    from scd_lightning.checkpoints.manifest import write_json

    with suppress(StoreError):  # A full disk is what is told already.
        write_json(run_dir / FAILURE, {"type": type(error).__name__, "message": str(error)})


def _run(cfg: DictConfig, run_dir: Path) -> None:
    from scd_lightning.command_line import job_title
    from scd_lightning.config import build_job
    from scd_lightning.loggers.base import JobLoggers
    from scd_lightning.pipeline.logs import job_info
    from scd_lightning.pipeline.prepare import prepare
    from scd_lightning.progress import say
    from scd_lightning.quiet import quiet

    quiet()
    # A rank was started by the parent below, or by the user's own torchrun, as on several machines.
    rank = "TORCHELASTIC_RUN_ID" in os.environ
    leads = tells()
    if leads and _in_sweep():
        say(job_title())
    job = build_job(cfg, run_dir, locking=not rank)
    job.trainer.check_devices(launched=rank)
    if rank:
        _join_ranks(job)
    if smoke.is_smoke():
        smoke.time_steps(job)
    with _on_record(job) if leads else nullcontext():
        prepare(job)
        with JobLoggers(job.loggers).open(job_info(job, leads=leads)) as loggers:
            _run_stages(cfg, job, loggers, rank=rank, leads=leads)


@contextmanager
def _on_record(job: "Job") -> Iterator[None]:
    """The job in the store's list of users, for as long as it lives; and its run.json."""
    from scd_lightning.checkpoints.manifest import write_json
    from scd_lightning.command_line import job_command
    from scd_lightning.store.registry import TIME, Registration

    command = job_command()
    content = {"command": command, "started": time.strftime(TIME), "finished": None}
    try:
        write_json(job.run_dir / RUN, content)
    except StoreError as error:
        raise ConfigError("The run's folder can't be written", where="hydra.run.dir", got=error.got) from error
    with Registration(job.store.root, job.run_dir, command) as job.store.registration:
        yield
    write_json(job.run_dir / RUN, content | {"finished": time.strftime(TIME)})


def _run_stages(cfg: DictConfig, job: "Job", loggers: "JobLoggers", *, rank: bool, leads: bool) -> None:
    from scd_lightning.pipeline.logs import log_results
    from scd_lightning.pipeline.report import report
    from scd_lightning.pipeline.runner import execute, plan

    steps = plan(job)
    job.store.use(step.key for step in steps)
    parent = job.trainer.devices > 1 and not rank
    if parent:
        _run_ranks(job, steps)
    # In a distributed job, the ranks tell of what they make, and their parent of what was there.
    made = execute(job, steps, lambda artifact: artifact.reused if parent else leads or not artifact.reused)
    if rank:
        _leave_ranks()
    if not leads:
        return
    OmegaConf.save(cfg, job.run_dir / "config.yaml", resolve=True)
    if "report" in job.stages:
        results, verdict = report(job, steps, made)
        log_results(loggers, results, verdict, made, job.run_dir)
        _show(results, verdict, job.run_dir)
        if smoke.is_smoke():
            smoke.tell_full_costs(job)


def _show(results: dict[str, Any], verdict: str, run_dir: Path) -> None:
    from scd_lightning.analysis.summary import run_table
    from scd_lightning.progress import console, say

    console.print(run_table(results, verdict))
    say(f"report: {run_dir / 'report.html'}")
    say(f"student: {run_dir / 'student'}")


# Distributed jobs.


def _join_ranks(job: "Job") -> None:
    """Joins the process group at once, so that the store's decisions are common ones before any trainer exists."""
    import torch
    import torch.distributed as dist

    on_gpu = job.trainer.options.get("accelerator") != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")


def _leave_ranks() -> None:
    """Ends the process group's threads: one that still wants the interpreter's lock at exit aborts the process."""
    import torch.distributed as dist

    dist.destroy_process_group()


def _run_ranks(job: "Job", steps: "Sequence[Step]") -> None:
    """Locks what has to be made, and starts one process a device to make it.

    The locks are this parent's, taken in the order of the steps, which is the same for all jobs: no two can wait for
    each other, and no rank ever waits for a lock. Each is given back as soon as its artifact is there.
    """
    locks: dict[str, FileLock] = {}
    wanted = [step for step in steps if step.stage in job.stages and job.store.find(step.key) is None]
    try:
        for step in wanted:
            if step.key.folder in locks:
                continue
            lock = job.store.acquire(step.key)
            if job.store.find(step.key) is None:
                locks[step.key.folder] = lock
            else:
                lock.release()
        if locks:
            job.store.made |= set(locks)
            ranks = subprocess.Popen(_command(job), env=_environment(job), preexec_fn=_end_with_parent)
            _wait(job, wanted, locks, ranks)
    finally:
        for lock in locks.values():
            lock.release()


def _wait(
    job: "Job", wanted: "Sequence[Step]", locks: "dict[str, FileLock]", workers: "subprocess.Popen[bytes]"
) -> None:
    try:
        while workers.poll() is None:
            time.sleep(0.2)
            for step in wanted:
                if step.key.folder in locks and job.store.find(step.key) is not None:
                    locks.pop(step.key.folder).release()
    except BaseException:
        workers.terminate()
        workers.wait()
        raise
    if workers.returncode != 0:
        _raise_ranks_error(job.run_dir)


def _raise_ranks_error(run_dir: Path) -> None:
    from scd_lightning import errors
    from scd_lightning.checkpoints.manifest import read_json

    if (run_dir / FAILURE).is_file():
        failure = read_json(run_dir / FAILURE)
        kind = getattr(errors, failure["type"], None)
        if isinstance(kind, type) and issubclass(kind, ScdError):
            raise kind(failure["message"].rstrip("."))
    raise WorkersFailed("a process of the distributed job failed; its error is above")


def _command(job: "Job") -> list[str]:
    """The job's own overrides, as a single run under torch's launcher: the same for `-m`, joblib and one job alone."""
    hydra = HydraConfig.get()
    overrides = [o for o in hydra.overrides.hydra if not o.startswith(("hydra.mode", "hydra.run.dir", "hydra.sweep"))]
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={job.trainer.devices}",
        os.path.abspath(sys.argv[0]),
        f"--config-name={hydra.job.config_name}",
        *hydra.overrides.task,
        *overrides,
        "hydra.mode=RUN",
        "hydra.output_subdir=null",
        "hydra.run.dir='{}'".format(str(job.run_dir).replace("'", "\\'")),
    ]


def _environment(job: "Job") -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // job.trainer.devices)
    return {"OMP_NUM_THREADS": str(threads), **os.environ, WORKER: "1"}


def _end_with_parent() -> None:
    """Has Linux end the ranks when this parent is killed: the locks of what they make die with it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class SweepComparison(Callback):
    """After a multirun: a table over its methods and seeds, and the jobs that failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compares what finished; a sweep with a failed job ends with that job's exit code."""
        from scd_lightning.analysis.comparison import compare
        from scd_lightning.analysis.comparison_page import write_comparison
        from scd_lightning.analysis.comparison_table import comparison_table
        from scd_lightning.analysis.sweep import find_runs
        from scd_lightning.progress import console, say

        folder = Path(config.hydra.sweep.dir)
        runs = find_runs(folder)
        comparison = compare(runs)
        write_comparison(comparison, folder)
        console.print(comparison_table(comparison))
        say(f"comparison: {folder / 'comparison.html'}")
        failures = [path for path in runs if (path / FAILURE).is_file()]
        if failures and exit_code == 0:
            _set_exit_code(1)
