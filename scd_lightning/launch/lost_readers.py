"""Output that nobody can read any more: a pipe without a reader, a terminal that was closed."""

import errno
import io
import os
import sys
from typing import Any

from typing_extensions import override

# No room for a log now, which there may be again.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ESTALE)


def outlive_readers() -> None:
    """Has all that this process prints get lost once nobody can read it: a pipe without a reader, a closed terminal.

    By itself Python would raise an error at the next line, and so end a training that has hours to go.
    """
    for number, name in enumerate(("stdout", "stderr"), 1):
        stream = getattr(sys, name)
        below = getattr(stream, "buffer", None)
        raw = getattr(below, "raw", below)  # Without a buffer where PYTHONUNBUFFERED is set.
        # Else somebody has put another stream there, or it is one of these already.
        if isinstance(stream, io.TextIOWrapper) and type(raw) is io.FileIO and raw.fileno() == number:
            stream.flush()
            setattr(sys, name, _outliving(stream, number, buffered=raw is not below))


def _outliving(stream: io.TextIOWrapper, number: int, *, buffered: bool) -> io.TextIOWrapper:
    raw = _Outliving(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Outliving(io.FileIO):
    """Writes to nowhere once there is no reader any more; what a full disk has no room for is lost."""

    @override
    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            if error.errno in _FULL:
                return len(content)
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return len(content)
