"""Files as spreadsheets and other programs write them hold the same rows as our own; what is recognised is said."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_lightning.data.files import read_folder
from scd_lightning.data.json_text import separate_values
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.classification import Classification

ROWS = [
    {"text": f"Größe {i}; zu klein, sagt {'Änne' if i % 3 else 'Bo'}", "label": "ab"[i % 2], "note": "x"}
    for i in range(12)
]


def table(rows=ROWS, separator=",", tail="", **options):
    """Rows as a table, each with a tail."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=separator, lineterminator=f"{tail}\r\n", **options)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def lines(rows=ROWS):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read(path):
    notes: list[str] = []
    return read_folder(path, notes=notes), notes


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.jsonl", lines().encode(), []),
        ("Train.JSONL", lines().encode(), []),
        ("train.json", lines().encode(), []),
        ("train.ndjson", lines().encode("utf-8-sig"), []),
        ("train.jsonl", lines().encode("utf-16"), ["in UTF-16"]),
        ("train.json", json.dumps(ROWS).encode(), ["is an array"]),
        ("train.jsonl", json.dumps(ROWS, indent=1).encode("utf-8-sig"), ["is an array"]),
        ("train.json", "\n".join(json.dumps(row, indent=2) for row in ROWS).encode(), ["objects over several lines"]),
        ("train.csv", table().encode("utf-8-sig"), []),
        ("train.CSV", table(separator=";").encode(), ["semicolons"]),
        ("train.csv", table(separator=";", tail=";;").encode("utf-8-sig") + b";;;;\r\n" * 3, ["semicolons"]),
        ("train.csv", table(tail=",,").encode() + b",,,,\r\n\r\n", []),
        ("train.csv", b"sep=;\r\n" + table(separator=";").encode(), ["semicolons"]),
        ("train.csv", b"sep=#\r\n" + table(separator="#").encode(), ["separated by '#'"]),
        ("train.csv", table(separator="|").encode(), ["strokes"]),
        ("train.csv", table(separator="\t").encode("utf-16"), ["UTF-16", "tabs"]),
        ("train.csv", table(separator="\t").encode("utf-16-be"), ["UTF-16", "tabs"]),
        ("train.tsv", table(separator="\t").encode("utf-32"), ["UTF-32"]),
        ("train.tsv", table().encode(), ["commas"]),
    ],
)
def test_the_same_rows_from_each_kind_of_file(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    found, notes = read(tmp_path)
    assert [row.values for row in found["train"]] == ROWS
    assert [row.id for row in found["train"]] == [f"train-{i}" for i in range(1, 13)]
    assert len(notes) == len(said)
    assert all(word in note and note.startswith(name) for word, note in zip(said, notes, strict=True))


def test_they_are_the_same_data_and_the_note_is_among_the_warnings(tmp_path):
    for name, content in (("own.jsonl", lines().encode()), ("other.csv", table(separator=";").encode("utf-16"))):
        (tmp_path / name).write_bytes(content)
    own, other = (Classification(DataSource(str(tmp_path / name))).read() for name in ("own.jsonl", "other.csv"))
    assert (own.digest, own.digests) == (other.digest, other.digests)
    assert [*other.doubts][1:3] == [
        "other.csv is in UTF-16 and read as such.",
        "other.csv has cells that are separated by semicolons and is read so.",
    ]
    assert other.description["warnings"] == list(other.doubts)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_shards_are_one_file(tmp_path, suffix):
    for i in range(3):
        part, path = ROWS[4 * i : 4 * i + 4], tmp_path / f"train-0000{i}-of-00003.{suffix}"
        pq.write_table(pa.Table.from_pylist(part), path) if suffix == "parquet" else path.write_text(lines(part))
    found, notes = read(tmp_path)
    assert [(row.id, row.values) for row in found["train"]] == [(f"train-{i}", row) for i, row in enumerate(ROWS, 1)]
    assert (notes, found["train"][5].line) == ([], 2)
    assert found["train"][5].file.endswith(f"train-00001-of-00003.{suffix}")
    (tmp_path / f"train-00001-of-00003.{suffix}").unlink()
    with pytest.raises(DataError, match=r"not all shards of the train split.*00002-of-00003.*add the missing"):
        read(tmp_path)


def test_what_all_shards_have_in_common_is_said_once(tmp_path):
    for i in range(4):
        (tmp_path / f"train-0000{i}-of-00004.csv").write_bytes(table(ROWS[3 * i : 3 * i + 3], ";").encode("utf-16"))
    found, notes = read(tmp_path)
    assert [row.values for row in found["train"]] == ROWS
    assert [note.partition(" ")[0] for note in notes] == ["train-00000-of-00004.csv"] * 2


def test_shards_with_the_hubs_hashes_beside_a_whole_file(tmp_path):
    (tmp_path / "train-00000-of-00001-a09b74b3ef9c3b56.jsonl").write_text(lines())
    (tmp_path / "test.csv").write_text(table())
    assert {split: len(rows) for split, rows in read(tmp_path)[0].items()} == {"train": 12, "test": 12}
    (tmp_path / "train.jsonl").write_text(lines())
    with pytest.raises(DataError, match="several files for the train split"):
        read(tmp_path)


def test_a_path_to_one_file(tmp_path):
    (tmp_path / "Tickets 2024.csv").write_text(table())
    found, [note] = read(tmp_path / "Tickets 2024.csv")
    assert [row.values for row in found["train"]] == ROWS
    assert note.endswith("validation and test are cut from it.")
    (tmp_path / "test.jsonl").write_text(lines())
    assert read(tmp_path / "Tickets 2024.csv")[1][0].endswith("Not read: test.jsonl.")
    with pytest.raises(DataError, match=r"kind that is not read.*tickets\.xlsx.*as CSV"):
        read_folder(_touched(tmp_path / "tickets.xlsx"))


def _touched(path):
    path.touch()
    return path


def test_a_folder_without_train_names_the_path_that_works(tmp_path):
    (tmp_path / "mail.csv").write_text(table())
    with pytest.raises(DataError, match=rf"no training file.*'task\.data\.path=\"{tmp_path}/mail\.csv\"' takes"):
        read(tmp_path)


def test_quotes_behind_backslashes(tmp_path):
    text = 'text,label\n"She said \\"no\\", twice",a\n"C:\\new and \\\\share",b\n'
    (tmp_path / "train.csv").write_text(text)
    found, [note] = read(tmp_path)
    assert [row.values["text"] for row in found["train"]] == ['She said "no", twice', "C:\\new and \\share"]
    assert '\\"' in note
    (tmp_path / "train.csv").write_text(text + '"stray" quote,a\n')
    with pytest.raises(DataError, match=r"not CSV.*train\.csv:2.*doubled"):
        read(tmp_path)


@pytest.mark.parametrize("kept", ["a;b,label\nx;y,1\nz;w,2\n", "text,label;x\na,b\n"])
def test_other_separators_within_a_header_of_commas(tmp_path, kept):
    (tmp_path / "train.csv").write_text(kept)
    found, notes = read(tmp_path)
    assert (list(found["train"][0].values), notes) == (kept.split("\n")[0].split(","), [])


def test_commas_within_a_header_of_semicolons(tmp_path):
    (tmp_path / "train.csv").write_text("text, or body;label\nno;a\nyes, so;b\n")
    found, [note] = read(tmp_path)
    assert found["train"][1].values == {"text, or body": "yes, so", "label": "b"}
    assert "semicolons" in note


def test_columns_without_a_name_that_hold_something_stay(tmp_path):
    (tmp_path / "train.csv").write_text(",text,label,\n0,a,x,\n1,b,y,\n")
    assert read(tmp_path)[0]["train"][1].values == {"": "1", "text": "b", "label": "y"}
    (tmp_path / "train.csv").write_text(",text,\n0,a,x\n")
    with pytest.raises(DataError, match="Two columns have one name.*names of their own"):
        read(tmp_path)


def test_empty_records_before_the_end_are_rows_without_values(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\n,\nb,y\n,\n")
    assert [row.values for row in read(tmp_path)[0]["train"]] == [
        {"text": "a", "label": "x"}, {"text": None, "label": None}, {"text": "b", "label": "y"},
    ]  # fmt: skip


def test_rows_of_an_array_know_their_lines(tmp_path):
    (tmp_path / "train.json").write_text('[\n  {"text": "a",\n   "label": "x"},\n  {"text": NaN}\n]\n')
    with pytest.raises(DataError, match=r"NaN is not a JSON number.*train\.json:4"):
        read(tmp_path)


@pytest.mark.parametrize(
    "text", ["[1, 2]", '[{"a": 1}', '{"a": 1} 2', '[{"a": 1}] {"b": 2}', '["a"]\n{}', "[" * 9999, "{}{}"]
)
def test_what_is_no_array_of_objects(text):
    assert separate_values(text) is None
