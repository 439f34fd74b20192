"""The parent of a job in several processes: locks what is to be made, starts a process a device, sees to their end."""

import os
import signal
import time
from collections.abc import Sequence

from filelock import FileLock

from scd_lightning.config.checks import signal_number
from scd_lightning.launch import preemption, ranks
from scd_lightning.launch.processes import Processes
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.runner import Step, check_inputs


def make_in_ranks(job: PreparedJob, steps: Sequence[Step]) -> None:
    """Locks what has to be made, and starts one process a device to make it.

    The locks are this parent's, taken in the order of the steps, which is the same for all jobs: no two can wait for
    each other, and no rank ever waits for a lock. Each is given back as soon as its artifact is there.

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
    busy: list[Step] = []
    try:
        for step in wanted:
            if step.key.folder in locks:
                continue
            patient = waiting or step.phase != "evaluate"
            lock = job.store.acquire(step.key, -1 if patient else 0)
            if lock is None:
                busy.append(step)
            elif job.store.find(step.key) is None:
                locks[step.key.folder] = lock
            else:
                lock.release()
        if locks:
            job.store.made |= set(locks)
            _supervise(job, wanted, locks, {step.key.folder for step in busy})
    finally:
        for lock in locks.values():
            lock.release()
    return busy


def _supervise(job: PreparedJob, wanted: Sequence[Step], locks: dict[str, FileLock], busy: set[str]) -> None:
    preempted = job.resume.exit_code
    signals = [signal_number(name) for name in job.resume.signals if name != "SIGTERM"]
    with preemption.deferred():
        environment = _environment(job.trainer.devices, busy)
        processes = Processes(job.rank_command, job.trainer.devices, environment, signals=signals, preempted=preempted)
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
        ranks.raise_error(job.run_dir, processes.exit_codes(), preempted)


def _environment(devices: int, busy: set[str]) -> dict[str, str]:
    # The cores that this process may use: a cluster gives a job some of a machine's.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // devices)
    return {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        ranks.WORKER: "1",
        ranks.LEFT_OUT: ",".join(sorted(busy)),
    }
