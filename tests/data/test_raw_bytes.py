"""Packed files are unpacked; what is no data, or was not written to its end, is told by its bytes."""

import bz2
import gzip
import json
import lzma
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_lightning.data.files import read_folder
from scd_lightning.data.raw_bytes import read_bytes
from scd_lightning.errors import DataError

# Without the time in it, which would give tests other names from one second to the next.
packed = partial(gzip.compress, mtime=0)
ROWS = [{"text": f"line {i}", "label": "ab"[i % 2]} for i in range(9)]
TABLE = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv.gz", packed(TABLE.encode())),
        ("Train.JSONL.GZ", packed(LINES.encode())),
        ("train.json.bz2", bz2.compress(json.dumps(ROWS).encode())),
        ("train.tsv.xz", lzma.compress(TABLE.replace(",", "\t").encode("utf-16"))),
        ("train-00000-of-00001.jsonl.gz", packed(LINES.encode())),
        ("train.csv", packed(TABLE.encode())),
        ("train.csv", TABLE.encode() + b"\x1a"),
    ],
)
def test_packed_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = read_folder(tmp_path)
    assert [row.values for row in found["train"]] == ROWS
    assert found["train"][3].id == "train-4"


@pytest.mark.parametrize(("suffix", "packer"), [("gz", gzip), ("bz2", bz2), ("xz", lzma)])
@pytest.mark.parametrize("cut", [1, 20])
def test_packed_files_that_are_cut_off(tmp_path, suffix, packer, cut):
    (tmp_path / f"train.jsonl.{suffix}").write_bytes(packer.compress(LINES.encode())[:-cut])
    with pytest.raises(DataError, match=r"can't be unpacked.*bytes that begin as.*cut off.*again"):
        read_folder(tmp_path)


def parquet(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


def test_parquet_that_is_cut_off(tmp_path):
    (tmp_path / "train.parquet").write_bytes(parquet(tmp_path)[:-20])
    with pytest.raises(DataError, match=r"The Parquet file is cut off.*again"):
        read_folder(tmp_path)
    (tmp_path / "train.parquet").unlink()
    (tmp_path / "train.csv").write_bytes(parquet(tmp_path))
    with pytest.raises(DataError, match=r"The file is Parquet.*the end \.parquet"):
        read_folder(tmp_path)


STRANGE = {
    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n": "pointer of Git LFS.*git lfs pull",
    "<!DOCTYPE html>\n<html><body>Sign in, please</body></html>": "is a web page.*the file itself",
    "\ufeff\n<HTML lang='en'>": "is a web page",
    "PK\x03\x04\x14\x00": r"ZIP archive, as spreadsheets.*export it as CSV",
    "SQLite format 3\x00": "database of SQLite",
    LINES + "\x00" * 64: r"ends in zeros.*64 bytes of 0 behind \d+ others",
}


@pytest.mark.parametrize("content", STRANGE)
@pytest.mark.parametrize("name", ["train.csv", "train.jsonl", "train.parquet", "train.txt"])
def test_what_is_no_data(tmp_path, content, name):
    (tmp_path / name).write_bytes(content.encode())
    with pytest.raises(DataError, match=rf"{STRANGE[content]}"):
        read_folder(tmp_path)


def test_the_zeros_of_wide_letters_are_none(tmp_path):
    (tmp_path / "train.csv").write_bytes(TABLE.removesuffix("\n").encode("utf-32-le").join([b"\xff\xfe\0\0", b""]))
    assert len(read_folder(tmp_path)["train"]) == 9


@pytest.mark.parametrize("pack", [packed, bz2.compress, lzma.compress])
def test_what_unpacks_to_more_than_is_read_is_not_unpacked_whole(tmp_path, monkeypatch, pack):
    monkeypatch.setenv("SCD_MAX_DATA_MIB", "1")
    file = tmp_path / "train.jsonl"
    file.write_bytes(pack(b" " * (64 << 20)))
    assert file.stat().st_size < 1 << 20
    with pytest.raises(DataError, match=r"larger than is read, unpacked.*SCD_MAX_DATA_MIB"):
        read_bytes(file)
