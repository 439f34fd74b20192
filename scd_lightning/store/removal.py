"""The one function that deletes."""

import shutil
from pathlib import Path


def delete(path: Path, *, ignore_errors: bool = False) -> None:
    """Deletes a file, or a folder with all that is in it; a link goes, and not what it leads to.

    Args:
        path: What is to go; it need not be there.
        ignore_errors: Whether what can't be deleted may stay.

    Raises:
        OSError: It can't be deleted.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=ignore_errors)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        if not ignore_errors:
            raise
