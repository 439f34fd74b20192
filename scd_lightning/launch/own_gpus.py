"""GPUs for jobs that run side by side on one machine: each process has its own, for as long as it lives."""

import os
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

_VISIBLE = "CUDA_VISIBLE_DEVICES"
# By the process: which GPUs it sees, and the lock that says so to others. Let go of when the process ends.
_held: list[FileLock] = []


def take_gpus(folder: Path, wanted: int, there: int) -> None:
    """Has this process, and those that it starts, see GPUs that no other process of a sweep has.

    With more processes than GPUs for them, they are shared by as few as can be. To be called before CUDA is used; what
    a process has taken it keeps for its later jobs.

    Args:
        folder: That of the sweep, for locks.
        wanted: How many GPUs a job takes.
        there: How many there are to be seen. Of fewer than are wanted none is taken.
    """
    groups = there // wanted
    if groups < 2 or _held:
        return
    given = os.environ.get(_VISIBLE)
    names = given.split(",")[:there] if given else [str(i) for i in range(there)]
    locks = folder / ".gpus"
    locks.mkdir(exist_ok=True)
    for place in count():
        turn, group = divmod(place, groups)
        lock = FileLock(locks / f"{group}-{turn}")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        _held.append(lock)
        os.environ[_VISIBLE] = ",".join(names[group * wanted : (group + 1) * wanted])
        return
