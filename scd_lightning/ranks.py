"""A job in several processes, one a device: started by its parent under torch's launcher, joined and left by each."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig

from scd_lightning.errors import ScdError

if TYPE_CHECKING:
    from filelock import FileLock

    from scd_lightning.pipeline.job import Job
    from scd_lightning.pipeline.runner import Step

# Set in the ranks that a parent started: they make what it planned, and report nothing.
WORKER = "SCD_WORKER"
# What a job that failed leaves in its folder.
FAILURE = "failure.json"


class WorkersFailed(RuntimeError):
    """The processes of a distributed job ended with an error, which they have shown."""


def tells() -> bool:
    """Whether this process speaks for the job: one of several that Ctrl-C ends alike."""
    return WORKER not in os.environ and os.environ.get("RANK", "0") == "0"


def join(job: "Job") -> None:
    """Joins the process group at once, so that the store's decisions are common ones before any trainer exists."""
    import torch
    import torch.distributed as dist

    on_gpu = job.trainer.options.get("accelerator") != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")


def leave() -> None:
    """Ends the process group's threads: one that still wants the interpreter's lock at exit aborts the process."""
    import torch.distributed as dist

    dist.destroy_process_group()


def run(job: "Job", steps: "Sequence[Step]") -> None:
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
            workers = subprocess.Popen(_command(job), env=_environment(job), preexec_fn=_end_with_parent)
            _wait(job, wanted, locks, workers)
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
        raise_error(job.run_dir)


def raise_error(run_dir: Path) -> None:
    """Raises the error that a rank has recorded, where it is one that the user can mend; else WorkersFailed."""
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
