"""GPUs for jobs that run side by side on one machine: each process has its own, for as long as it lives."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass
class _Taken:
    """What this process has, and lets go of when it ends.

    Attributes:
        wanted: How many GPUs it took; 0: it sees all that there were.
        before: Those that it saw before.
        locks: What says so to other processes.
    """

    wanted: int = 0
    before: str | None = None
    locks: list[FileLock] = field(default_factory=list)


_taken = _Taken()


def take_gpus(folder: Path, wanted: int, there: int) -> None:
    """Has this process, and those that it starts, see GPUs that no other process of a sweep has.

    With more processes than GPUs for them, they are shared by as few as can be. To be called before CUDA is used. What
    a process has taken it keeps for later jobs that want as many; one that wants another number sees all.

    Args:
        folder: That of the sweep, for locks.
        wanted: How many GPUs a job takes.
        there: How many there are to be seen. Of fewer than are wanted none is taken.
    """
    if _taken.wanted:
        if wanted != _taken.wanted:
            _let_go()
        return
    groups = there // wanted
    if groups < 2:
        return
    given = os.environ.get(_VISIBLE)
    names = given.split(",")[:there] if given else [str(i) for i in range(there)]
    locks = folder / ".gpus"
    locks.mkdir(exist_ok=True)
    for place in count():
        turn, group = divmod(place, groups)
        own = range(group * wanted, (group + 1) * wanted)
        if (held := _hold([locks / f"{gpu}-{turn}" for gpu in own])) is not None:
            _taken.wanted, _taken.before, _taken.locks = wanted, given, held
            os.environ[_VISIBLE] = ",".join(names[gpu] for gpu in own)
            return


def _hold(files: Sequence[Path]) -> list[FileLock] | None:
    """Locks on all files; None where another process has one of them."""
    held: list[FileLock] = []
    for file in files:
        lock = FileLock(file)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            for each in held:
                each.release()
            return None
        held.append(lock)
    return held


def _let_go() -> None:
    for lock in _taken.locks:
        lock.release()
    if _taken.before is None:
        os.environ.pop(_VISIBLE, None)
    else:
        os.environ[_VISIBLE] = _taken.before
    _taken.wanted, _taken.before, _taken.locks = 0, None, []
