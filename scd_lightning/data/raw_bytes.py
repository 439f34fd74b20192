"""What a file's bytes are: unpacked where they are packed, and known where they are no data at all."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from scd_lightning.config.size_limits import DATA
from scd_lightning.errors import DataError

_UNPACK: dict[bytes, tuple[str, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda packed: gzip.GzipFile(fileobj=packed)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
}
_TOO_LARGE = "The file is larger than is read"
# What a file's name may end with besides.
PACKED = (".gz", ".bz2", ".xz")
# The last letter of UTF-32 has as many.
_MOST_ZEROS = 3
_AGAIN = "download or write the file again"
_AS_TEXT = "export it as CSV, JSON or Parquet; or unpack it first"
# How bytes begin that are no rows, in lower case -> what they are, and the way.
_STRANGE = {
    b"version https://git-lfs": ("a pointer of Git LFS and not the data", "fetch the data: git lfs pull"),
    b"<!doctype html": ("a web page", "download the file itself, such as by the page's link to the raw file"),
    b"<html": ("a web page", "download the file itself, such as by the page's link to the raw file"),
    b"pk\x03\x04": ("a ZIP archive, as spreadsheets (.xlsx) are", _AS_TEXT),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet or document of Microsoft Office", _AS_TEXT),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it first: unzstd FILE"),
    b"par1": ("Parquet", "give its name the end .parquet"),
    b"arrow1": ("Arrow", "save it as Parquet: dataset.to_parquet(...)"),
    b"sqlite format 3": ("a database of SQLite", _AS_TEXT),
}


def read_bytes(file: Path) -> bytes:
    """What a file holds, unpacked.

    Raises:
        DataError: It can't be read or unpacked, or is larger than is read.
    """
    DATA.check_file(file, _TOO_LARGE, DataError)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"The file can't be read ({error.strerror})", where=file, expected="a readable file") from error
    for mark, (name, unpack) in _UNPACK.items():
        if raw.startswith(mark):
            return _unpacked(raw, unpack, name, file)
    return raw


def check_bytes(raw: bytes, file: Path, known: bytes = b"") -> None:
    """Looks whether bytes are those of a data file.

    Args:
        raw: All of the file.
        file: The file, for messages.
        known: What they may begin with all the same, in lower case.

    Raises:
        DataError: They are of another kind of file, or of one that was never written to its end.
    """
    head = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:32].lower()
    for mark, (what, remedy) in _STRANGE.items():
        if head.startswith(mark) and mark != known:
            raise DataError(f"The file is {what}", where=file, expected="rows of data", remedy=remedy)
    zeros = len(raw) - len(raw.rstrip(b"\x00"))
    if zeros > _MOST_ZEROS:
        raise DataError(
            "The file ends in zeros, as one that was not written to its end",
            where=file,
            got=f"{zeros} bytes of 0 behind {len(raw) - zeros} others",
            expected="rows to the end",
            remedy=_AGAIN,
        )


def _unpacked(raw: bytes, unpack: Callable[[IO[bytes]], Any], name: str, file: Path) -> bytes:
    try:
        # No more than tells whether it is too large: some kilobytes may hold gigabytes of nothing.
        found = unpack(BytesIO(raw)).read(DATA.bytes + 1)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise DataError(
            f"The file can't be unpacked ({error})",
            where=file,
            got=f"{len(raw)} bytes that begin as {name}",
            expected="a whole file: it may be cut off",
            remedy=_AGAIN,
        ) from error
    DATA.check(len(found), f"{_TOO_LARGE}, unpacked", file, DataError)
    return found
