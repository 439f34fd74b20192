import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_lightning.data.converters import LetterAnswers, PlacedStrings, TaggedTokens
from scd_lightning.data.files import read_folder
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError

ROWS = [
    {"question": f"Which {i}?", "choices": ["one", 'two, with "quotes"\nand a line'], "answer": i % 2} for i in range(4)
]
SPLITS = {
    "train": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
    "validation": [{"text": "d"}],
    "test": [{"text": "e"}],
}


def read_train(folder: str | Path, **settings):
    return DataSource(str(folder), validation_ratio=0.25, test_ratio=0.25, **settings).read("qa").rows


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b'{"text": "a"}\n{"text": "\xff"}\n', 2, "not UTF-8"),
        (b'{"text": "a"}\n\n{"text": \n', 3, "not JSON"),
        (b'{"text": "a"}\n["b"]\n', 2, "not an object"),
        (b'{"text": "a", "score": NaN}\n', 1, "NaN"),
        (b'{"text": "a", "id": 1.5}\n', 1, '"id" has the wrong type'),
        (b'{"text": "a", "id": "x"}\n{"text": "b", "id": "x"}\n', 2, '"id" is not unique'),
    ],
)
def test_broken_jsonl_names_file_and_line(tmp_path, content, line, said):
    (tmp_path / "train.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        DataSource(str(tmp_path)).read("ner")
    assert f"train.jsonl:{line}" in str(caught.value.where)


def test_line_separators_within_json_strings_and_a_byte_order_mark_are_fine(tmp_path):
    text = "one\u2028two\u0085three"
    lines = [json.dumps({"text": text}, ensure_ascii=False), '{"text": "b"}', '{"text": "c"}']
    (tmp_path / "train.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    rows = [row for split in read_train(tmp_path).values() for row in split]
    assert sorted(row.values["text"] for row in rows) == ["b", "c", text]


def test_csv_and_parquet_hold_the_same_rows_as_jsonl(tmp_path, write_folder):
    folders = {"jsonl": Path(write_folder(train=ROWS)), "csv": tmp_path / "csv", "parquet": tmp_path / "parquet"}
    folders["csv"].mkdir()
    with (folders["csv"] / "train.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["question", "choices", "answer", "context"])
        writer.writeheader()
        writer.writerows({**row, "choices": json.dumps(row["choices"]), "context": ""} for row in ROWS)
    folders["parquet"].mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS), folders["parquet"] / "train.parquet")
    values = {kind: [row.values for row in read_train(folder)["train"]] for kind, folder in folders.items()}
    assert [{name: cell for name, cell in row.items() if cell is not None} for row in values["csv"]] == values["jsonl"]
    assert values["parquet"] == values["jsonl"]


def test_other_column_names_in_csv_and_lists_in_its_cells(tmp_path):
    rows = [{"q": f"Which {i}?", "options": json.dumps(["one", "two"]), "right": "B"} for i in range(4)]
    with (tmp_path / "train.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    columns = {"q": "question", "options": "choices", "right": "answer"}
    read = read_train(tmp_path, columns=columns, converters=[LetterAnswers()])["train"]
    assert read[0].values == {"question": "Which 0?", "choices": ["one", "two"], "answer": 1}


def test_a_name_of_no_column_is_told_of(write_folder):
    folder = write_folder(train=[{"text": f"a {i}", "body": f"b {i}", "label": "xy"[i % 2]} for i in range(4)])

    def notes(**columns):
        return [each for each in DataSource(folder, columns=columns).read("classification").notes if "rename" in each]

    assert notes(boddy="text") == ["No row has the column boddy, which task.data.columns is to rename."]
    assert notes(body="other", lable="label") == ["No row has the column lable, which task.data.columns is to rename."]
    # As a preset's names where the set comes in our own form.
    assert notes(pubid="id", final_decision="label") == notes(body="other") == []


def test_a_conversion_that_leaves_no_row(write_folder):
    folder = write_folder(train=[{"tokens": [], "tags": []}])
    with pytest.raises(DataError, match=r"No row is left after conversion.*train\.jsonl.*1 rows"):
        DataSource(folder, converters=[TaggedTokens()]).read("ner")


def test_what_was_lost_and_the_note_on_a_cut_test_split(write_folder):
    rows = [
        {"text": f"a {i}", "entities": [{"label": "X", "text": "a"}, {"label": "X", "text": "b"}]} for i in range(4)
    ]
    settings: dict[str, Any] = {"converters": [PlacedStrings()], "split_note": "not the official one"}
    cut = DataSource(write_folder(train=rows), **settings).read("ner")
    assert cut.lost == {"strings that the text does not have": 4}
    assert cut.split.endswith("; not the official one")
    given = DataSource(write_folder(train=rows, test=[{"text": "t", "entities": []}]), **settings).read("ner")
    assert given.split.endswith("kept together")


def test_half_of_the_rows_and_more_may_be_cut_for_the_test_split(write_folder):
    rows = [{"text": f"text {i}"} for i in range(100)]
    data = DataSource(write_folder(train=rows), validation_ratio=0.05, test_ratio=0.9).read("ner")
    assert {split: len(part) for split, part in data.rows.items()} == {"train": 5, "validation": 5, "test": 90}


def test_csv_errors_name_the_line_that_a_record_starts_on(tmp_path):
    (tmp_path / "train.csv").write_text('text,label\n"two\nlines",x\nlonely\n')
    with pytest.raises(DataError, match="number of cells") as caught:
        DataSource(str(tmp_path)).read("classification")
    assert str(caught.value.where).endswith("train.csv:4")


def test_csv_with_a_broken_list(tmp_path):
    (tmp_path / "train.csv").write_text('question,choices,answer\nq,"[""a"", ",0\n')
    with pytest.raises(DataError, match="cell is not JSON") as caught:
        DataSource(str(tmp_path)).read("qa")
    assert str(caught.value.where).endswith("train.csv:2, column choices")


def test_csv_with_an_open_quote(tmp_path):
    (tmp_path / "train.csv").write_text('text,label\n"open,x\n')
    with pytest.raises(DataError, match="not CSV"):
        DataSource(str(tmp_path)).read("classification")


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="not Parquet"):
        DataSource(str(tmp_path)).read("ner")


def test_missing_folder_file_and_rows(tmp_path):
    with pytest.raises(DataError, match=r"folder is missing.*task\.data\.path"):
        DataSource(str(tmp_path / "nowhere")).read("ner")
    with pytest.raises(DataError, match=r"no training file"):
        DataSource(str(tmp_path)).read("ner")
    (tmp_path / "train.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no rows"):
        DataSource(str(tmp_path)).read("ner")


def test_two_files_for_one_split_are_refused(write_folder):
    folder = write_folder(train=SPLITS["train"], valid=SPLITS["validation"], dev=SPLITS["validation"])
    with pytest.raises(DataError, match=r"several files for the validation split.*valid\.jsonl, dev\.jsonl"):
        DataSource(folder).read("ner")


def test_other_names_of_validation_and_made_ids(write_folder):
    folder = write_folder(train=SPLITS["train"], dev=SPLITS["validation"], test=SPLITS["test"])
    data = DataSource(folder).read("ner")
    assert data.split == "as given"
    assert [row.id for row in data.rows["train"]] == ["train-1", "train-2", "train-3"]
    assert data.rows["validation"][0].values == {"text": "d"}


def test_max_samples_draws_by_seed_and_keeps_the_order(write_folder):
    folder = write_folder(**SPLITS)
    rows = DataSource(folder, max_samples={"train": 2}, split_seed=3).read("ner").rows
    again = DataSource(folder, max_samples=2, split_seed=3).read("ner").rows
    assert [row.id for row in rows["train"]] == [row.id for row in again["train"]]
    assert [row.line for row in rows["train"]] == sorted(row.line for row in rows["train"])
    assert {split: len(part) for split, part in rows.items()} == {"train": 2, "validation": 1, "test": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"validation_ratio": 0},
        {"test_ratio": 1},
        {"validation_ratio": 0.5, "test_ratio": 0.5},
        {"max_samples": 0},
        {"max_samples": {"trian": 5}},
        {"synthetic": {"trian": 5}},
        {"synthetic": {"test": 0}},
    ],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError, match=r"task\.data\."):
        DataSource(**settings)


@pytest.mark.parametrize("task", ["ner", "qa", "classification"])
def test_embedded_data_set(task):
    sizes = {"train": 20, "validation": 14, "test": 15}
    data = DataSource(synthetic={**sizes, "label_noise": None}).read(task)
    assert {split: len(rows) for split, rows in data.rows.items()} == sizes
    with pytest.raises(ConfigError, match="embedded data set"):
        DataSource(synthetic={"label_noise": 2.0}).read(task)


def test_an_empty_cell_is_no_missing_column(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,\nc,y\n")
    with pytest.raises(DataError, match=r'"label" is empty.*train\.csv:3.*on_bad_row=skip'):
        read_folder(tmp_path)["train"][1].string("label")
