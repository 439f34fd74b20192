"""The text of a file, whichever encoding of Unicode it is in."""

import codecs
from pathlib import Path

from scd_lightning.data.raw_bytes import check_bytes, read_bytes
from scd_lightning.errors import DataError

# The marks of UTF-32 begin with those of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LOOKED_AT = 4096


def read_text(file: Path, notes: list[str]) -> str:
    """What a file says.

    Args:
        file: The file.
        notes: Takes a sentence where it is not in UTF-8.

    Raises:
        DataError: It can't be read or unpacked, is too large, is no text, or is in none of Unicode's encodings.
    """
    raw = read_bytes(file)
    check_bytes(raw, file)
    encoding = _encoding(raw)
    try:
        # What DOS writes at the end of a text.
        text = raw.decode(encoding).removesuffix("\x1a")
    except UnicodeDecodeError as error:
        raise _undecodable(file, raw, error, encoding) from error
    if not encoding.startswith("utf-8"):
        notes.append(f"{file.name} is in {encoding[:6].upper()} and read as such.")
    return text


def _encoding(raw: bytes) -> str:
    marked = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)
    return marked or _without_mark(raw[:_LOOKED_AT]) or "utf-8"


def _without_mark(raw: bytes) -> str | None:
    """UTF-16, where the NULs of Latin letters stand at every second byte and nowhere else."""
    for name, nulls, letters in (("utf-16-le", raw[1::2], raw[::2]), ("utf-16-be", raw[::2], raw[1::2])):
        if 2 * nulls.count(0) > len(nulls) > 0 and 0 not in letters:
            return name
    return None


def _undecodable(file: Path, raw: bytes, error: UnicodeDecodeError, encoding: str) -> DataError:
    line = raw[: error.start].count(b"\n") + 1
    name = "UTF-8" if encoding.startswith("utf-8") else encoding[:6].upper()
    return DataError(
        f"The file is not {name}",
        where=f"{file}:{line}",
        got=f"byte 0x{raw[error.start]:02x}",
        expected=f"{name} text",
        remedy='convert the file to UTF-8: Excel saves "CSV UTF-8"; or: iconv -f WINDOWS-1252 -t UTF-8 old > new, '
        "with the encoding that it has in place of WINDOWS-1252",
    )
