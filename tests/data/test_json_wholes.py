"""One JSON value that holds all rows, as other programs write it, is the same data as a row a line."""

import json

import pytest

from scd_lightning.data.files import read_folder
from scd_lightning.data.json_wholes import rows_within
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from tests.data.examples import OWN, SENTENCES

ROWS = [{"text": f"letter {i}", "label": "xyz"[i % 3]} for i in range(15)]
PAIRS = [[text, {"entities": [list(mark) for mark in marks]}] for text, marks in SENTENCES]


def by_column(make):
    return {name: make([row[name] for row in ROWS]) for name in ROWS[0]}


def read(tmp_path, content, name="train.json"):
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    notes: list[str] = []
    found = read_folder(tmp_path, notes=notes)
    return {split: [row.values for row in rows] for split, rows in found.items()}, notes


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ({"data": ROWS}, 'rows under "data"'),
        ({"about": {"by": "me"}, "count": 15, "rows": ROWS}, 'rows under "rows"'),
        (by_column(list), "a list for each column"),
        (by_column(lambda cells: {str(i): cell for i, cell in enumerate(cells)}), "an object for each column"),
        (
            {"columns": ["text", "label"], "data": [[*row.values()] for row in ROWS]},
            "columns and",
        ),
        ({"schema": {"fields": [{"name": "text"}]}, "data": ROWS}, 'rows under "data"'),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_same_rows(tmp_path, whole, said, indent):
    found, [note] = read(tmp_path, json.dumps(whole, indent=indent))
    assert (found, said in note) == ({"train": ROWS}, True)


def test_objects_by_id(tmp_path):
    found, [note] = read(tmp_path, {f"doc-{i}": row for i, row in enumerate(ROWS)})
    assert found["train"] == [{"id": f"doc-{i}", **row} for i, row in enumerate(ROWS)]
    assert "an object for each row" in note
    found, _ = read(tmp_path, {str(i): {"body": f"b{i}", "queue": "x"} for i in range(3)})
    assert found["train"] == [{"id": str(i), "body": f"b{i}", "queue": "x"} for i in range(3)]


@pytest.mark.parametrize("name", ["dev", "Validation"])
def test_splits_in_one_file(tmp_path, name):
    found, notes = read(tmp_path, {"train": ROWS[:9], name: ROWS[9:12], "test": ROWS[12:]})
    assert found == {"train": ROWS[:9], "validation": ROWS[9:12], "test": ROWS[12:]}
    assert [note.split('"')[1] for note in notes] == ["train", name, "test"]
    (tmp_path / "test.jsonl").write_text(json.dumps(ROWS[0]))
    assert {split: len(rows) for split, rows in read(tmp_path, {"train": ROWS, "test": ROWS})[0].items()} == {
        "train": 15,
        "test": 1,
    }


@pytest.mark.parametrize(
    "whole",
    [
        {"text": "alone", "entities": [{"start": 0, "end": 5, "label": "X"}]},
        {"tokens": ["a", "b"], "tags": ["O", "O"]},
        {"question": "Who?", "answers": [{"text": "Ann"}]},
        {"a": 1},
        {},
    ],
)
def test_a_single_row_is_a_row(whole):
    assert rows_within(whole, "train") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"first": ROWS, "second": ROWS[1:]}, r"several lists.*Got: first, second.*file of its own"),
        ([["a text", "x"], ["another", "y"]], r"columns have no names.*\[\"a text\", \"x\"\].*names on its first line"),
        ('["a", "x"]\n["b", "y"]\n', "columns have no names"),
        (json.dumps(ROWS)[:-9], r"cut off\).*train\.json:1.*download the file again"),
        (json.dumps(ROWS, indent=1)[:-20], r"cut off\).*train\.json:5\d"),
        (json.dumps({"data": ROWS})[:-30], "cut off"),
        (json.dumps(ROWS) + json.dumps(ROWS), r"not JSON \(Extra data"),
        ("17", "no array of objects"),
        ({"data": [{"paragraphs": [{"context": "c"}]}]}, r"not in SQuAD's form.*no 'qas'"),
    ],
)
def test_one_message_about_the_file(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, content)
    with pytest.raises(DataError, match=said):
        NER(DataSource(str(tmp_path), on_bad_row="skip")).read()


LINES = [json.dumps(row) for row in ROWS]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\r".join(LINES), []),
        (",\n".join(LINES) + ",\n", []),
        (",\n".join(LINES), []),
        ("\x1e" + "\n\x1e".join(LINES) + "\n", []),
        ("\ufeff" + "\n".join(LINES[:4]) + "\n\ufeff" + "\n".join(LINES[4:]), []),
        ("\n   \n".join(LINES) + "\n\t\n", []),
        ("[" + ",\n".join(LINES) + ",\n]", ["is an array"]),
        ("\n".join(map(repr, ROWS)), ["as Python writes them"]),
        (json.dumps(ROWS[:4]) + "\n" + json.dumps(ROWS[4:]), ["an array on each line"]),
    ],
)
def test_lines_that_are_not_quite_ours(tmp_path, content, said):
    found, notes = read(tmp_path, content, "train.jsonl")
    assert found["train"] == ROWS
    assert len(notes) == len(said)
    assert all(word in note for word, note in zip(said, notes, strict=True))


def test_the_last_line_of_a_file_that_was_cut_off(tmp_path):
    content = "\n".join(LINES)[:-6]
    with pytest.raises(DataError, match=r"train\.jsonl:15.*ends too early, as where a file was cut off"):
        read(tmp_path, content, "train.jsonl")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(PAIRS),
        json.dumps(PAIRS, indent=1),
        "\n".join(map(json.dumps, PAIRS)),
        json.dumps({"classes": ["WHO", "TOWN"], "annotations": PAIRS}),
    ],
)
def test_spacys_pairs(tmp_path, write_folder, content):
    (tmp_path / "set.json").write_text(content)
    data = NER(DataSource(str(tmp_path / "set.json"))).read()
    assert data.digest == NER(DataSource(write_folder(train=OWN))).read().digest


def squad(texts):
    """SQuAD's file: each text a paragraph with a question and one that it does not answer."""
    return {
        "version": "v2.0",
        "data": [
            {
                "title": "t",
                "paragraphs": [
                    {
                        "context": f"The {text} is number {i}.",
                        "qas": [
                            {
                                "id": f"a{i}",
                                "question": f"What is {i}?",
                                "answers": [{"text": text, "answer_start": 4}],
                            },
                            {"question": f"Why is {i}?", "answers": [], "is_impossible": True},
                        ][: 1 + (i % 3 == 0)],
                    }
                ],
            }
            for i, text in enumerate(texts)
        ],
    }


def test_squads_file(tmp_path, write_folder):
    words = ["lamp", "desk", "door"] * 6
    (tmp_path / "train.json").write_text(json.dumps(squad(words)))
    data = QA(DataSource(str(tmp_path), on_bad_row="skip")).read()
    rows = [
        {"question": f"What is {i}?", "context": f"The {word} is number {i}.", "answer": [word]}
        for i, word in enumerate(words)
    ]
    own = QA(DataSource(write_folder(train=rows))).read()
    gold = [(sample.fields, sample.gold) for part in data.samples.values() for sample in part]
    assert sorted(map(str, gold)) == sorted(
        str((sample.fields, sample.gold)) for part in own.samples.values() for sample in part
    )
    assert "SQuAD's form with 24 questions" in data.doubts[0]
    assert data.doubts[1].endswith("6 questions have no answer in their context.")
    assert data.description["rejected"]["train"] == 6
    with pytest.raises(DataError, match=r'"answer" is empty.*train\.json:2.*on_bad_row=skip'):
        QA(DataSource(str(tmp_path))).read()


def test_a_line_of_python_that_is_no_object(tmp_path):
    with pytest.raises(DataError, match=r"not JSON.*train\.jsonl:2"):
        read(tmp_path, f"{ROWS[0]}\n['a', 'b']\n{ROWS[1]}\n", "train.jsonl")
