"""Which files hold a model's weights, and whether each is one, whole: no tensor is read."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from scd_lightning.errors import ModelError, translated
from scd_lightning.models.foreign import read_beginning, read_json, safetensors_size
from scd_lightning.models.gguf_header import MOST_PARTS

# What people find in place of a large file, by how it begins, and what to do about it.
_STAND_INS = {
    re.compile(rb"version https://git-lfs"): (
        "A pointer of Git LFS stands in place of the weights",
        "fetch the file itself: git lfs install, then git lfs pull in its folder; or download it anew",
    ),
    re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE): (
        "A web page stands in place of the weights",
        "download the file anew; where the page asks for a login or a licence, with the token of an account that has "
        "it (HF_TOKEN)",
    ),
}
# What files are called; no longer than file systems allow.
_PLAIN_NAME = re.compile(r"\w[\w .+@=-]{0,199}")
_SHOWN = 80
# What to do about a file that is damaged.
ANEW = "download or copy it anew"


def find_weights(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The files that hold a folder's tensors, as transformers chooses them: a whole file before one in shards.

    Args:
        folder: The folder.
        names: What the whole file may be called, the first before the others.

    Returns:
        Empty where there are none. Of those that an index names some may not be there; `check_shards` says so.

    Raises:
        ModelError: An index can't be used.
    """
    for name in names:
        if (folder / name).is_file():
            return (folder / name,)
        if (index := _index(folder, name)).is_file():
            return _listed(index)
    return ()


def _index(folder: Path, name: str) -> Path:
    return folder / f"{name}.index.json"


def _listed(index: Path) -> tuple[Path, ...]:
    named = read_json(index).get("weight_map")
    files = sorted(set(named.values())) if isinstance(named, dict) and _all_texts(named) else []
    # Names alone: an index has no business outside its own folder.
    strange = [ascii(name)[:_SHOWN] for name in files if not _PLAIN_NAME.fullmatch(name)]
    if not files or strange or len(files) > MOST_PARTS:
        raise ModelError(
            "The index of the weights can't be used",
            where=index,
            got=strange[0] if strange else f"{len(files)} files" if files else "no weight_map, or an empty one",
            expected=f"a weight_map from tensors to files beside it, at most {MOST_PARTS}",
            remedy=ANEW,
        )
    return tuple(index.parent / name for name in files)


def _all_texts(named: dict[str, object]) -> bool:
    return all(isinstance(value, str) for value in named.values())


def check_shards(files: Sequence[Path]) -> None:
    """Fails where shards that an index names are not there, or where there are others.

    Args:
        files: As `find_weights` gives them.

    Raises:
        ModelError: The message names them.
    """
    if missing := [file.name for file in files if not file.is_file()]:
        raise ModelError(
            "A part of the weights is missing",
            where=_index_of(files),
            got=f"no {first_few(missing, 3)}",
            expected=f"{len(files)} files that the index names",
            remedy="download or copy what is missing; a download that broke off goes on where it was",
        )
    if others := _other_shards(files):
        raise ModelError(
            "There are shards of weights that their index does not name, so that it may be one of other weights",
            where=files[0].parent,
            got=first_few(others, 3),
            expected=f"{first_few([file.name for file in files], 3)} alone",
            remedy="download or copy the model into an empty folder, or move what is not of it elsewhere",
        )


def _index_of(files: Sequence[Path]) -> Path:
    """The index that has named files, or where there is none, their folder."""
    folder = files[0].parent
    found = [file for file in sorted(folder.glob("*.index.json")) if file.is_file()]
    return found[0] if found else folder


def _other_shards(files: Sequence[Path]) -> list[str]:
    shard = re.compile(r"(.+?)-\d+-of-\d+(\.\w+)")
    kinds = {found.groups() for file in files if (found := shard.fullmatch(file.name))}
    there = {path.name for path in files[0].parent.iterdir()} - {file.name for file in files}
    return sorted(name for name in there if (found := shard.fullmatch(name)) and found.groups() in kinds)


def check_plain(files: Sequence[Path], where: str, got: object) -> None:
    """Refuses files that are read by unpickling, before one is opened; an index may name such ones too.

    Args:
        files: As `find_weights` gives them.
        where: The argument that named them, for messages.
        got: Its value.

    Raises:
        ModelError: One is no safetensors file.
    """
    pickled = [file.name for file in files if file.suffix != ".safetensors"]
    if not pickled:
        return
    # The anchor is a student.
    role = "student" if where.startswith("anchor.") else where.partition(".")[0]
    raise ModelError(
        "The weights are pickled, a format that may carry code",
        where=where,
        got=f"{first_few(pickled, 3)} in {_index_of(files) if len(files) > 1 else got}",
        expected="safetensors",
        remedy="save them anew as safetensors, on a machine where nothing can be lost; or have torch's restricted "
        f"unpickler read them as they are: {role}.allow_pickle=true",
    )


def check_intact(file: Path) -> None:
    """Fails where a file can't be one of tensors, whole, by its first bytes and its size.

    Raises:
        ModelError: It is something else, or cut off.
    """
    start = read_beginning(file)
    for begins, (what, remedy) in _STAND_INS.items():
        if begins.match(start):
            raise ModelError(what, where=file, got=_first_line(start), expected="a file of tensors", remedy=remedy)
    if not start or _is_text(start):
        raise ModelError(
            "A file of weights can't be read",
            where=file,
            got=f"a text: {_first_line(start)}" if start else "an empty file",
            expected="a file of tensors",
            remedy=ANEW,
        )
    if start.startswith(b"PK"):
        _check_unpacked(file)
    size, expected = file.stat().st_size, safetensors_size(file) if file.suffix == ".safetensors" else None
    # torch's files are archives, whose contents are listed at their end.
    if (expected or size) != size or (start.startswith(b"PK") and not zipfile.is_zipfile(file)):
        raise ModelError(
            "A file of weights can't be read: it is not as long as it has to be",
            where=file,
            got=f"{size:,} bytes",
            expected=None if expected is None else f"{expected:,}, by its own header",
            remedy=ANEW,
        )


def _check_unpacked(file: Path) -> None:
    """Refuses an archive that unpacks to more than it is: torch writes its own as they are."""
    if not zipfile.is_zipfile(file):
        return
    with translated("A file of weights can't be read", where=file, remedy=ANEW), zipfile.ZipFile(file) as archive:
        unpacked, size = sum(each.file_size for each in archive.infolist()), file.stat().st_size
    if unpacked > size:
        raise ModelError(
            "A file of weights unpacks to more than it is, as none that torch has written",
            where=file,
            got=f"{unpacked:,} bytes in {size:,}",
            remedy="save the weights again in the program that wrote them",
        )


def _is_text(start: bytes) -> bool:
    """Whether no byte is one that only files of another kind have; the end may be half a letter."""
    return not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", start) and bool(start.decode("utf-8", "ignore").strip())


def _first_line(start: bytes) -> str:
    return start.decode("utf-8", "replace").strip().splitlines()[0][:80]


def first_few(names: Sequence[str], most: int) -> str:
    """The first names, and how many there are besides, for a message; "" for none."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
