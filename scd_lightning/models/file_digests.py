"""What files hold, as digests."""

from functools import cache
from pathlib import Path

from scd_lightning.store.manifest import sha256_file


def file_digest(file: Path) -> str:
    """SHA-256 of a file; of gigabytes that a plan asks for several times in a process, it is computed once."""
    status = file.stat()
    return _file_digest(file, status.st_size, status.st_mtime_ns)


@cache
def _file_digest(file: Path, size: int, changed: int) -> str:
    return sha256_file(file)
