"""A file of answers that grows as they are made, and goes on where it was left."""

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scd_lightning.data.json_text import read_json_text
from scd_lightning.errors import ConfigError

_DIGITS = 12


class Output:
    """Answers as JSON lines, in a file that gets its name when all of them are there.

    Until then they are in `NAME.DIGEST.partial` beside it, where the digest is that of all that they depend on: the
    same command goes on from there, and no other does.

    Args:
        path: The file.
        digest: What answers depend on, as a digest.
        overwrite: Whether a file of that name may be replaced.

    Raises:
        ConfigError: It is there already, its folder can't be written, or another command is writing the same answers.

    Attributes:
        rows: All that are there, as JSON values: at first those that an earlier command has left.
    """

    def __init__(self, path: Path, digest: str, *, overwrite: bool = False) -> None:
        self.path = path
        self._partial = path.with_name(f"{path.name}.{digest[:_DIGITS]}.partial")
        check_free(path, overwrite=overwrite)
        try:
            self._file = self._partial.open("a+b")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Until it is closed, or this process ends.
        except BlockingIOError as error:
            self._file.close()
            raise ConfigError(
                "Another command is writing the same answers",
                where="--output",
                got=self._partial,
                remedy="wait for its end, or name another file",
            ) from error
        except OSError as error:
            raise _unwritable(path, error) from error
        self.rows: list[dict[str, Any]] = []
        # What was being written when the command was killed.
        self._file.truncate(self._read())

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds answers, so that they outlive this process."""
        try:
            self._file.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.rows += rows

    def finish(self) -> None:
        """Gives the file its name."""
        os.replace(self._partial, self.path)

    def close(self) -> None:
        """Lets another command go on, where this one has not finished."""
        self._file.close()

    def _read(self) -> int:
        """Takes up the lines that are there, as far as they are whole, and tells where those end, in bytes."""
        end = 0
        self._file.seek(0)
        for line in self._file:
            try:
                row = read_json_text(line.decode())
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self.rows.append(row)
            end += len(line)
        return end


def check_free(path: Path, *, overwrite: bool) -> None:
    """Makes sure that a file can be written, before anything is loaded.

    Raises:
        ConfigError: It is there already and may not be replaced, or its folder is not there.
    """
    if path.is_dir() or not path.parent.is_dir():
        got = f"{path}, a folder" if path.is_dir() else f"{path}, in a folder that is not there"
        raise ConfigError("The answers can't be written there", where="--output", got=got, expected="a file to be made")
    if path.exists() and not overwrite:
        raise ConfigError(
            "The file of answers is there already",
            where="--output",
            got=path,
            remedy="name another, or add --overwrite",
        )


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "The answers can't be written",
        where="--output",
        got=f"{path}: {error.strerror}",
        remedy="free some space, or name a file in a folder that can be written; what is answered is kept",
    )
