"""Records of Parquet files: some kilobytes of one may unpack to more than any memory holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pyarrow import Table, compute, types
from pyarrow.parquet import ParquetFile

from scd_lightning.config.size_limits import DATA
from scd_lightning.errors import DataError
from scd_lightning.launch.limits import bounded_memory

# Counted together; as indices of texts that are kept once each, they take little.
_ROWS = 1 << 16
# What a record takes, and a number in it, be they packed however well.
_RECORD, _NUMBER = 64, 8
# What pyarrow needs besides what it makes. A file may lie about its sizes: then this ends it.
_ROOM = 4


def read_records(source: Path | IO[bytes], file: Path) -> tuple[list[dict[str, Any]], list[str], dict[bytes, bytes]]:
    """The records of a file, the columns' names, and what its schema says besides.

    Args:
        source: The file, or its content.
        file: The file, for messages.

    Raises:
        DataError: It unpacks to more than is read.
        Exception: What pyarrow raises over a file that it can't read.
    """
    try:
        table = _read(source, file)
    except MemoryError:
        _check(_ROOM * DATA.bytes, file)
        raise
    return table.to_pylist(), table.column_names, table.schema.metadata or {}


def _read(source: Path | IO[bytes], file: Path) -> Table:
    with bounded_memory(_ROOM * (DATA.bytes >> 20)), ParquetFile(source) as opened:
        chunks = [*_chunks(opened)]
        declared = sum(max(each.total_uncompressed_size, each.num_values * _NUMBER) for each in chunks)
        _check(opened.metadata.num_rows * _RECORD + declared, file)
        texts = [each for each in chunks if _keeps_once(each)]
        # None of them is longer than all that is kept.
        if sum(each.num_values * each.total_uncompressed_size for each in texts) > DATA.bytes:
            _check_texts(source, sorted({each.path_in_schema for each in texts}), file)
        table = opened.read()
        _check(table.nbytes, file)
        return table


def _check(size: int, file: Path) -> None:
    DATA.check(size, "The Parquet file unpacks to more than is read", file, DataError)


def _chunks(opened: ParquetFile) -> Iterator[Any]:
    """What the file says of each column of each group of rows."""
    for number in range(opened.num_row_groups):
        group = opened.metadata.row_group(number)
        yield from (group.column(place) for place in range(group.num_columns))


def _keeps_once(chunk: Any) -> bool:
    """Whether texts that are the same stand there once, whatever number of rows has them."""
    return chunk.physical_type == "BYTE_ARRAY" and any("DICTIONARY" in encoding for encoding in chunk.encodings)


def _check_texts(source: Path | IO[bytes], columns: list[str], file: Path) -> None:
    size = 0
    with _opened_packed(source, columns) as opened:
        # A group at a time: pyarrow has no pieces of nested texts that two groups keep for themselves.
        for group in range(opened.num_row_groups):
            for piece in opened.iter_batches(_ROWS, row_groups=[group], columns=columns):
                size += sum(map(_unpacked, piece.columns))
                _check(size, file)


@contextmanager
def _opened_packed(source: Path | IO[bytes], columns: list[str]) -> Iterator[ParquetFile]:
    if not isinstance(source, Path):
        source.seek(0)
    with ParquetFile(source, read_dictionary=columns) as opened:
        yield opened


def _unpacked(array: Any) -> int:
    """Bytes of all texts, each as often as it is there."""
    if types.is_dictionary(array.type):
        words = array.dictionary
        if not _are_texts(words.type):
            return _NUMBER * len(array)
        lengths = compute.cast(compute.binary_length(words), "int64").take(array.indices)
        return int(compute.sum(lengths).as_py() or 0)
    if types.is_struct(array.type):
        return sum(map(_unpacked, array.flatten()))
    if types.is_map(array.type):
        return _unpacked(array.keys) + _unpacked(array.items)
    return _unpacked(array.flatten()) if types.is_nested(array.type) else int(array.nbytes)


def _are_texts(kind: Any) -> bool:
    return any(each(kind) for each in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))
