"""Files of lines: fastText's labels are labels; plain lines are texts, and no rows with labels."""

import pytest

from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.classification import Classification

ROWS = [{"text": f"note {i} , end", "label": ("in", "out")[i % 2]} for i in range(10)]


def read(path, **settings):
    return Classification(DataSource(str(path), **settings)).read()


def test_labels_of_fasttext(tmp_path, write_folder):
    (tmp_path / "train.txt").write_text("".join(f"__label__{row['label']} {row['text']}\n" for row in ROWS))
    data = read(tmp_path)
    assert data.digest == read(write_folder(train=ROWS)).digest
    assert "fastText" in data.doubts[0]
    (tmp_path / "train.txt").write_text("__label__a __label__b two\n" * 3)
    with pytest.raises(DataError, match="several labels each"):
        read(tmp_path)


def test_lines_without_labels(tmp_path, write_folder):
    texts = tmp_path / "texts.txt"
    texts.write_text("First one.\r\n\r\n  Second one.  \r\nThird, last")
    data = read(write_folder(train=ROWS), unlabelled=str(texts))
    assert [each.fields["text"] for each in data.samples["unlabelled"]] == [
        "First one.",
        "Second one.",
        "Third, last",
    ]
    assert "each line is read as a text" in data.doubts[0]
    with pytest.raises(DataError, match=r"lines of text, without labels.*First one.*task\.data\.unlabelled="):
        read(texts)


@pytest.mark.parametrize("content", ['["First", "Second"]', '"First"\n"Second"\n'])
def test_strings_of_json(tmp_path, write_folder, content):
    (tmp_path / "texts.json").write_text(content)
    data = read(write_folder(train=ROWS), unlabelled=str(tmp_path / "texts.json"))
    assert [each.fields["text"] for each in data.samples["unlabelled"]] == ["First", "Second"]


def test_tables_go_before_lines(tmp_path, write_folder):
    folder = write_folder(train=ROWS, test=[{"text": "last", "label": "in"}])
    for name in ("train.txt", "valid.txt", "notes.txt"):
        (tmp_path / "data" / name).write_text("see the other files\n")
    data = read(folder)
    assert data.description["split"].startswith("cut from train: validation")
    assert data.doubts[0].endswith("called like splits and are none. Not read: train.txt, valid.txt.")


def test_files_that_are_called_nearly_like_splits_are_named(tmp_path, write_folder):
    folder = write_folder(train=ROWS)
    for name in ("train_2.jsonl", "testing.csv", "test.xlsx", "validation.parquet.bak", "other.csv", "train"):
        (tmp_path / "data" / name).write_text("x")
    [doubt] = read(folder).doubts
    assert doubt.endswith("Not read: test.xlsx, testing.csv, train_2.jsonl, validation.parquet.bak.")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train_0.jsonl", "train_1.jsonl"], r"train-00000-of-00002 and so on"),
        (["data-00000-of-00001.arrow", "state.json"], r"load_from_disk\(FOLDER\)\.to_parquet"),
        (["a.ann", "a.txt", "b.ann", "b.txt"], r"brat's \.ann files"),
        (["train.xlsx"], "spreadsheet as CSV"),
        (["train.zip"], "unpack the archive"),
    ],
)
def test_folders_of_others_name_the_way(tmp_path, names, said):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=rf"no training file.*{said}"):
        read(tmp_path)


def test_one_part_of_several_is_named(tmp_path, write_folder):
    folder = write_folder(train=ROWS)
    part = tmp_path / "data" / "train-00001-of-00003.jsonl"
    (tmp_path / "data" / "train.jsonl").rename(part)
    assert "is one file and by its name part 2 of 3, which is train" in read(part).doubts[0]
    with pytest.raises(DataError, match="not all shards"):
        read(folder)
