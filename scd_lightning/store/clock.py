"""Times that other clocks than ours have written: those of machines that share a disk, or one that was set since."""

import time
from pathlib import Path


def plausible(seconds: float, file: Path) -> float:
    """A time, as seconds since 1970, that is not in the future.

    Args:
        seconds: What was noted, in a file or as its time of change.
        file: The file; where the noted time can't be, the system's own note of its last change counts.

    Raises:
        OSError: The file can't be looked at.
    """
    now = time.time()
    return next(each for each in (seconds, file.stat().st_ctime, now) if each <= now)
