"""Files that are either complete or not there, and digests of what is in them."""

import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scd_lightning.errors import StoreError
from scd_lightning.store.removal import scratch_file

if TYPE_CHECKING:
    import numpy as np

_CHUNK = 1 << 20
# Field of a JSON file that holds the digest of all others.
_SEAL = "seal"

# Digests of files by their identity, size and time of change, so that a file is hashed once in a process however often
# a schedule comes back to it, under whatever name.
_known: dict[tuple[str, int, int, int, int], str] = {}


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file and puts it in its place once it is safely on the disk.

    Whoever looks at `path`, at any time and after any crash, sees the old content or the new one, never a part. On
    any error the temporary file is removed.

    Args:
        path: The file to make; its folder is created.
        write: Writes the whole content to the path it is given.

    Raises:
        StoreError: The disk is full or the folder can't be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_file(path) as temporary:
            write(temporary)
            fsync(temporary)
            os.replace(temporary, path)
            fsync(path.parent)
    except OSError as error:
        raise StoreError(
            "A file can't be written",
            where=path,
            got=error,
            remedy="free some disk space or choose another folder, with paths.store for the store and hydra.run.dir "
            "for the run; the same command goes on then",
        ) from error


def open_as_its_folder(path: Path) -> None:
    """Lets those read a file who may read its folder: safetensors makes files for their owner alone."""
    path.chmod(path.parent.stat().st_mode & 0o666)


def write_json(path: Path, content: Any) -> None:
    """Writes indented UTF-8 JSON atomically, keys in their given order.

    Raises:
        StoreError: As `write_atomically`.
        ValueError: The content holds a NaN or an infinity, which JSON does not have.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        StoreError: The file is missing, not JSON in UTF-8, or holds no object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise damaged("A manifest can't be read", path, error, "a JSON object") from error
    if not isinstance(content, dict):
        raise damaged("A manifest can't be read", path, type(content).__name__, "a JSON object")
    return content


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically, lone surrogates as escapes.

    Raises:
        StoreError: As `write_atomically`.
    """
    content = text.encode("utf-8", errors="backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON objects atomically, one a line.

    Raises:
        StoreError: As `write_atomically`.
    """
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Reads what `write_json_lines` has written; a text may hold what Unicode takes for the end of a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def write_npy(path: Path, array: "np.ndarray") -> None:
    """Writes an array atomically.

    Raises:
        StoreError: As `write_atomically`.
    """
    import numpy as np

    content = io.BytesIO()  # NumPy itself does not tell a full disk from other errors.
    np.save(content, array)
    write_atomically(path, lambda temporary: temporary.write_bytes(content.getbuffer()))


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object atomically together with its own digest, which `read_sealed` checks.

    Raises:
        StoreError: As `write_atomically`.
        ValueError: The content holds a NaN or an infinity, which JSON does not have.
    """
    plain = json.loads(json.dumps(dict(content), allow_nan=False))
    write_json(path, {**plain, _SEAL: sha256_json(plain)})


def read_sealed(path: Path) -> dict[str, Any]:
    """Reads what `write_sealed` has written, without the digest.

    Raises:
        StoreError: The file is missing, damaged, or was changed.
    """
    content = read_json(path)
    seal = content.pop(_SEAL, None)
    try:
        whole = seal == sha256_json(content)
    except ValueError:  # Python's reader takes more than JSON: a number too large, half a character.
        whole = False
    if not whole:
        raise damaged("A manifest is damaged: it is not what it was when it was written", path)
    return content


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def crc32_file(path: Path) -> str:
    """Hex checksum of a file's bytes: several times as fast as a digest, and finds damage that nobody means to hide."""
    checksum = 0
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return f"{checksum:08x}"


def known_digest(path: Path) -> str:
    """Hex digest of a file's bytes, read once in a process unless the file changes."""
    return _once(sha256_file, path)


def known_checksum(path: Path) -> str:
    """Like `known_digest`, but the checksum."""
    return _once(crc32_file, path)


def _once(compute: Callable[[Path], str], path: Path) -> str:
    status = path.stat()
    key = (compute.__name__, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _known:
        _known[key] = compute(path)
    return _known[key]


def check_digest(path: Path, expected: str) -> None:
    """Makes sure that a file is what it was when it was stored.

    Args:
        path: The file.
        expected: Its hex digest then.

    Raises:
        StoreError: The file is missing, damaged or changed.
    """
    try:
        digest = known_digest(path)
    except FileNotFoundError as error:
        raise damaged("A file of the store is missing", path) from error
    except OSError as error:
        raise damaged("A file of the store can't be read", path, error) from error
    if digest != expected:
        raise damaged("A file's digest does not match: it is damaged or was changed", path, digest, expected)


def sha256_json(content: Any) -> str:
    """Hex digest of a JSON value, the same for every order of keys.

    Raises:
        ValueError: The content holds a NaN or an infinity.
        TypeError: The content is not made of JSON's types.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def damaged(what: str, path: Path, got: object = None, expected: object = None) -> StoreError:
    """The error of a file of the store that can't be used: no file of its folder can be trusted then.

    Args:
        what: What is wrong with it.
        path: The file.
        got: What was found.
        expected: What should have been.
    """
    return StoreError(what, where=path, got=got, expected=expected, remedy="delete its folder, so that it is made anew")


def fsync(path: Path) -> None:
    """Has the disk keep what was written to a file or folder, whatever happens to the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
