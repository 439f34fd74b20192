"""A job in several processes, one a device: started by its parent or by torchrun, joined and left by each."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hydra.core.hydra_config import HydraConfig

from scd_lightning import preemption
from scd_lightning.command_line import written
from scd_lightning.errors import ScdError

if TYPE_CHECKING:
    from filelock import FileLock

    from scd_lightning.pipeline.job import Job
    from scd_lightning.pipeline.runner import Step
    from scd_lightning.processes import Processes
    from scd_lightning.rank_failures import RankFailure

# Set in the ranks that a parent started: they make what it planned, and report nothing.
WORKER = "SCD_WORKER"
# Tells them which artifacts another job makes meanwhile.
_LEFT_OUT = "SCD_LEFT_OUT"
# What a job that failed leaves in its folder.
FAILURE = "failure.json"


# Processes wait this long for one another: one may save, hash or download for all.
_PATIENCE = timedelta(minutes=30)


class RankDied(ScdError):
    """A process of a distributed job that ended without a word."""

    exit_code = 1


class RankFailed(RuntimeError):
    """A defect in a process of a distributed job.

    Args:
        failure: What the process has recorded.

    Attributes:
        failure: Likewise.
    """

    def __init__(self, failure: "RankFailure") -> None:
        super().__init__(failure.message)
        self.failure = failure


def tells() -> bool:
    """Whether this process speaks for the job: one of several that Ctrl-C ends alike."""
    return not has_parent() and os.environ.get("RANK", "0") == "0"


def is_rank() -> bool:
    """Whether this is one of several processes, started by a parent of ours or by the user's torchrun."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def has_parent() -> bool:
    """Whether a process of ours has started this one, to work for it in silence."""
    return WORKER in os.environ


def join(job: "Job") -> None:
    """Joins the process group at once, so that the store's decisions are common ones before any trainer exists."""
    import torch
    import torch.distributed as dist

    on_gpu = job.trainer.options.get("accelerator") != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)


def leave() -> None:
    """Ends the process group's threads: one that still wants the interpreter's lock at exit aborts the process."""
    import torch.distributed as dist

    dist.destroy_process_group()


def end(exit_code: int) -> NoReturn:
    """Ends one of several processes without waiting for what its libraries would still do.

    They would take leave of the other processes, which may be gone; and a thread of theirs that still runs, as where
    models are cut over processes, may abort a process at its end that has done all it should.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def run(job: "Job", steps: "Sequence[Step]") -> None:
    """Locks what has to be made, and starts one process a device to make it.

    The locks are this parent's, taken in the order of the steps, which is the same for all jobs: no two can wait for
    each other, and no rank ever waits for a lock. Each is given back as soon as its artifact is there.

    An evaluation that another job has taken is left for afterwards: it makes that at its own end, and nothing here
    but the report needs it, so that jobs side by side distil side by side.
    """
    from scd_lightning.pipeline.runner import check_inputs

    check_inputs(job, steps)
    wanted = [step for step in steps if step.stage in job.stages and job.store.find(step.key) is None]
    busy = _make(job, wanted, waiting=False)
    _make(job, busy, waiting=True)


def _make(job: "Job", wanted: "Sequence[Step]", *, waiting: bool) -> "list[Step]":
    """Makes steps, and gives those evaluations which another job makes, unless it is to wait for them."""
    locks: dict[str, FileLock] = {}
    busy: list[Step] = []
    try:
        for step in wanted:
            if step.key.folder in locks:
                continue
            patient = waiting or step.stage != "evaluate"
            lock = job.store.acquire(step.key) if patient else job.store.try_acquire(step.key)
            if lock is None:
                busy.append(step)
            elif job.store.find(step.key) is None:
                locks[step.key.folder] = lock
            else:
                lock.release()
        if locks:
            job.store.made |= set(locks)
            _work(job, wanted, locks, {step.key.folder for step in busy})
    finally:
        for lock in locks.values():
            lock.release()
    return busy


def left_out() -> set[str]:
    """The folders of those artifacts that are not for this process to make or to wait for."""
    return set(os.environ.get(_LEFT_OUT, "").split(","))


def _work(job: "Job", wanted: "Sequence[Step]", locks: "dict[str, FileLock]", busy: set[str]) -> None:
    from scd_lightning.processes import Processes

    signals = [preemption.number(name) for name in job.resume.signals if name != "SIGTERM"]
    with preemption.deferred():
        processes = Processes(
            _command(job), job.trainer.devices, _environment(job, busy), signals=signals, preempted=job.resume.exit_code
        )
        try:
            while processes.alive():
                time.sleep(0.2)
                _hand_on(processes)
                for step in wanted:
                    if step.key.folder in locks and job.store.find(step.key) is not None:
                        locks.pop(step.key.folder).release()
        finally:
            processes.kill()
        raise_error(job.run_dir, processes.exit_codes(), job.resume.exit_code)


def _hand_on(processes: "Processes") -> None:
    arrived = preemption.requested()
    if arrived is not None:
        processes.tell(signal.Signals[arrived])


def raise_error(run_dir: Path, exit_codes: Sequence[int | None], preempted: int) -> None:
    """Raises what ended the processes of a job: the cause, where others have followed from it.

    Args:
        run_dir: The run's folder.
        exit_codes: How each process ended.
        preempted: The exit code of one that a signal has ended in good order.

    Raises:
        ScdError: An error that the user can mend, or a process that ended without a word.
        RankFailed: A defect.
        Preempted: A signal to one of them.
    """
    from scd_lightning.rank_failures import find

    if not any(exit_codes):
        return
    failures = [failure for failure in find(run_dir) if exit_codes[failure.rank]]
    told = {failure.rank for failure in failures}
    causes = [failure for failure in failures if not failure.lost_another]
    silent = [rank for rank, code in enumerate(exit_codes) if code not in (0, preempted) and rank not in told]
    if causes:
        raise causes[0].error or RankFailed(causes[0])
    # Before the code of one that a signal has ended: where another died, that signal was its parent's.
    if silent and preemption.requested() is None:
        raise _died(silent[0], exit_codes)
    if preempted in exit_codes or preemption.requested() is not None:
        preemption.end()
    raise RankFailed(failures[0])


def _died(rank: int, exit_codes: Sequence[int | None]) -> RankDied:
    code = exit_codes[rank]
    assert code is not None
    killed = signal.Signals(-code).name if code < 0 else None
    return RankDied(
        f"Process {rank} of {len(exit_codes)} was ended by {killed}"
        if killed
        else f"Process {rank} of {len(exit_codes)} ended with exit code {code} and left no error",
        remedy="the same command goes on from what was saved"
        + ("; where nobody has killed it, memory was short: `dmesg` tells" if killed == "SIGKILL" else ""),
    )


def _command(job: "Job") -> list[str]:
    """The job's own overrides, as a single run: the same for `-m`, joblib and one job alone."""
    hydra = HydraConfig.get()
    own = ("hydra.mode", "hydra.run.dir", "hydra.sweep")
    overrides = [each for each in written(hydra.overrides.hydra) if not each.startswith(own)]
    return [
        sys.executable,
        os.path.abspath(sys.argv[0]),
        f"--config-name={hydra.job.config_name}",
        *written(hydra.overrides.task),
        *overrides,
        "hydra.mode=RUN",
        "hydra.output_subdir=null",
        "hydra.run.dir='{}'".format(str(job.run_dir).replace("'", "\\'")),
    ]


def _environment(job: "Job", busy: set[str]) -> dict[str, str]:
    # The cores that this process may use: a cluster gives a job some of a machine's.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // job.trainer.devices)
    return {"OMP_NUM_THREADS": str(threads), **os.environ, WORKER: "1", _LEFT_OUT: ",".join(sorted(busy))}
