"""The parent of a job in several processes: locks what is to be made, starts a process a device, sees to their end."""

import os
import signal
import time
from collections.abc import Sequence

from filelock import FileLock

from scd_lightning.launch import preemption, ranks
from scd_lightning.launch.processes import Processes
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.runner import Step, check_inputs


def make_in_ranks(job: PreparedJob, steps: Sequence[Step]) -> None:
    """Locks what has to be made, and starts one process a device to make it.

    The locks are this parent's: no rank ever waits for one, and this process waits for another run's only while it
    holds none itself. Each is given back as soon as its artifact is there.

    An evaluation that another job has taken is left for afterwards: it makes that at its own end, and nothing here
    but the report needs it, so that jobs side by side distil side by side.

    Args:
        job: The run, prepared.
        steps: Its steps.

    Raises:
        ScdError: As `ranks.raise_error`, like the following.
        RankFailed: A process has a defect.
        Preempted: A signal.
    """
    check_inputs(job, steps)
    wanted = [step for step in steps if step.phase in job.phases and job.store.find(step.key) is None]
    busy = _make(job, wanted, waiting=False)
    _make(job, busy, waiting=True)


def _make(job: PreparedJob, wanted: Sequence[Step], *, waiting: bool) -> list[Step]:
    """Makes steps, and gives those evaluations which another job makes, unless it is to wait for them."""
    locks: dict[str, FileLock] = {}
    try:
        while (busy := _lock(job, wanted, locks)) and (waiting or busy[-1].phase != "evaluate"):
            _release(locks)
            if (lock := job.store.acquire(busy[-1].key)) is not None:
                lock.release()
        if locks:
            job.store.made |= set(locks)
            _supervise(job, wanted, locks, {step.key.folder for step in busy})
    finally:
        _release(locks)
    return busy


def _lock(job: PreparedJob, wanted: Sequence[Step], locks: dict[str, FileLock]) -> list[Step]:
    """Takes the locks of what is not there yet, up to the first that nothing can be done without.

    Jobs that want the same take them in one order, so that one of them gets all.

    Returns:
        The steps that other runs make.
    """
    busy: list[Step] = []
    for step in wanted:
        if step.key.folder in locks or job.store.find(step.key) is not None:
            continue
        lock = job.store.acquire(step.key, 0)
        if lock is None:
            busy.append(step)
            if step.phase != "evaluate":
                break
        elif job.store.find(step.key) is None:
            locks[step.key.folder] = lock
        else:
            lock.release()
    return busy


def _release(locks: dict[str, FileLock]) -> None:
    while locks:
        locks.popitem()[1].release()


def _supervise(job: PreparedJob, wanted: Sequence[Step], locks: dict[str, FileLock], busy: set[str]) -> None:
    preempted, patience = job.resume.exit_code, 60 * job.trainer.wait_minutes
    signals = [number for number in preemption.handled(job.resume.signals) if number is not signal.SIGTERM]
    with preemption.deferred():
        environment = _environment(job, set(locks), busy)
        processes = Processes(job.rank_command, job.trainer.devices, environment, signals, preempted, patience)
        try:
            while processes.alive():
                time.sleep(0.2)
                if (arrived := preemption.requested()) is not None:
                    processes.tell(signal.Signals[arrived])
                for step in wanted:
                    if step.key.folder in locks and job.store.find(step.key) is not None:
                        locks.pop(step.key.folder).release()
        finally:
            processes.kill()
        ranks.raise_error(job.run_dir, processes.exit_codes(), preempted, processes.left)


def _environment(job: PreparedJob, to_make: set[str], busy: set[str]) -> dict[str, str]:
    # The cores that this process may use: a cluster gives a job some of a machine's.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // job.trainer.devices)
    own = {ranks.WORKER: "1", ranks.TO_MAKE: ",".join(sorted(to_make)), ranks.LEFT_OUT: ",".join(sorted(busy))}
    return {"OMP_NUM_THREADS": str(threads), **os.environ, **job.agreement.environment(), **own}
