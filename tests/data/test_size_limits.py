"""Files of rows that hold, or unpack to, more than is read: refused before memory is, by bounds that can be raised."""

import re

import pyarrow as pa
import pytest
from pyarrow import parquet

from scd_lightning.config.size_limits import DATA, MODEL_FILE, TEXT
from scd_lightning.data import parquet as parquet_records
from scd_lightning.data.files import read_folder
from scd_lightning.data.hub_sets import HubSet
from scd_lightning.data.rows import Row
from scd_lightning.errors import ConfigError, DataError

MIB = 1 << 20


@pytest.fixture
def bound(monkeypatch):
    """Sets a bound to so many MiB."""
    return lambda limit, mebibytes: monkeypatch.setenv(limit.variable, str(mebibytes))


def repeated(kind):
    """A thousand times the same MiB, as files keep it: once."""
    indices = pa.array([0] * 1000, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(["x" * MIB], kind))


PACKED = {
    "the same text in all rows": lambda: {"text": repeated(pa.string())},
    "the same bytes in all rows": lambda: {"text": repeated(pa.large_binary())},
    "texts within lists": lambda: {"texts": pa.ListArray.from_arrays([0, 600, 1000], repeated(pa.string()))},
    "texts within objects": lambda: {"texts": pa.StructArray.from_arrays([repeated(pa.string())], ["text"])},
    "zeros": lambda: {"text": ["\0" * 33 * MIB]},
    "equal numbers": lambda: {"label": pa.array([7] * (5 * MIB), pa.int8())},
    "nothing": lambda: {"label": pa.nulls(5 * MIB)},
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_small_file_that_unpacks_to_much(tmp_path, bound, kind):
    file = tmp_path / "train.parquet"
    parquet.write_table(pa.table(PACKED[kind]()), file, compression="zstd")
    assert file.stat().st_size < MIB / 8
    bound(DATA, 32)
    before = pa.total_allocated_bytes()
    with pytest.raises(
        DataError, match=rf"unpacks to more than is read. Where: {re.escape(str(file))}.*at most 32 MiB"
    ):
        read_folder(tmp_path)
    assert pa.total_allocated_bytes() - before < 32 * MIB


def test_what_is_within_the_bound_is_read_as_it_stands(tmp_path, bound, monkeypatch):
    rows = [
        {
            "text": "a" * (n % 5),
            "words": [f"word {n} {m}" for m in range(9)],
            "tags": [{"name": "b", "at": n}],
            "none": None,
        }
        for n in range(3000)
    ]
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "train.parquet", row_group_size=700)
    bound(DATA, 4)
    read = read_folder(tmp_path)["train"]
    assert [row.values for row in read] == table.to_pylist()
    monkeypatch.setattr(parquet_records, "_ROWS", 100)
    assert read_folder(tmp_path)["train"] == read
    bound(DATA, 1)
    parquet.write_table(pa.table({"label": range(20_000)}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=f"raise the bound by the environment variable {DATA.variable}, in MiB"):
        read_folder(tmp_path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "json"])
def test_a_large_file_is_not_opened(tmp_path, bound, suffix):
    with (tmp_path / f"train.{suffix}").open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(DataError, match=r"The file is larger than is read.*Got: 3,072 MiB or more. Expected: .*2,048"):
        read_folder(tmp_path)


def test_a_text_that_no_model_reads(bound):
    text = "word " * MIB
    row = Row("a", {"text": text, "tokens": [text]}, "train.csv", 3)
    assert row.string("text") == text
    bound(TEXT, 4)
    for read in (lambda: row.string("text"), lambda: row.strings("tokens", row.values["tokens"])):
        with pytest.raises(DataError, match=rf"is longer than is read. Where: train\.csv:3.*{TEXT.variable}") as raised:
            read()
        assert len(str(raised.value)) < 600


def test_a_set_of_the_hub(tmp_path, bound):
    parquet.write_table(pa.table({"text": ["ab" * MIB]}), tmp_path / "train.parquet")
    wanted = HubSet(str(tmp_path))
    assert len(wanted.read()["train"]) == 1
    bound(DATA, 1)
    with pytest.raises(DataError, match="The data set's split is larger than is read"):
        wanted.read()


@pytest.mark.parametrize("given", ["0", "-1", "2.5", "1e3", "many", "9" * 40, "²"])
@pytest.mark.parametrize("limit", [DATA, TEXT, MODEL_FILE])
def test_a_bound_that_is_no_number(bound, limit, given):
    bound(limit, given)
    with pytest.raises(ConfigError, match=f"A bound is no number of mebibytes. Where: {limit.variable}"):
        limit.check(0, "It is larger", "here", DataError)
    bound(limit, "")
    assert limit.bytes == limit.default * MIB


def test_a_file_that_lies_about_its_sizes(tmp_path, bound):
    file = tmp_path / "train.parquet"
    parquet.write_table(pa.table({"text": ["\0" * 48 * MIB]}), file, compression="zstd", use_dictionary=False)
    bound(DATA, 8)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parquet_records, "_chunks", lambda opened: ())
        with pytest.raises(DataError, match="unpacks to more than is read.*at most 8 MiB"):
            read_folder(tmp_path)
