"""Texts without labels: read as rows are, and held against those with labels."""

import json
from typing import Any

import pytest

from scd_lightning.data.converters import TaggedTokens
from scd_lightning.data.hub_sets import HubSet
from scd_lightning.data.sources import DataSource
from scd_lightning.data.synthetic import generate, generate_texts
from scd_lightning.data.synthetic.homes import home
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA

TRAIN = [{"text": f"Train {i}.", "label": "ab"[i % 2]} for i in range(4)]
REST = {"validation": [{"text": "Held out.", "label": "a"}], "test": [{"text": "Asked last.", "label": "b"}]}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def read(tmp_path):
    """Reads labelled rows of classification beside these texts."""

    def read(texts, name="texts.jsonl", **settings):
        for split, rows in {"train": TRAIN, **REST}.items():
            write(tmp_path / "data" / f"{split}.jsonl", rows)
        source = write(tmp_path / "texts" / name, texts) if isinstance(texts, list) else texts
        return Classification(DataSource(str(tmp_path / "data"), unlabelled=source, **settings)).read()

    return read


def inputs(data):
    return [sample.fields["text"] for sample in data.samples["unlabelled"]]


def test_texts_are_samples_of_a_split_of_their_own(read):
    with_texts, without = read([{"text": "One."}, {"text": "Two."}]), read(None)
    assert inputs(with_texts) == ["One.", "Two."]
    assert with_texts.digest == without.digest
    assert with_texts.description == without.description
    assert "unlabelled" not in without.samples
    assert with_texts.texts() == without.texts()
    assert with_texts.texts_digest != read([{"text": "One."}]).texts_digest


def test_what_train_has_and_what_comes_twice_is_left_out_and_counted(read):
    texts = ["New.", "Train 1.", "New.", "New.", "Train 2.", "Other."]
    data = read([{"text": text} for text in texts])
    assert inputs(data) == ["New.", "Other."]
    assert {name: data.unlabelled[name] for name in ("rows", "in_train", "twice")} == {
        "rows": 6,
        "in_train": 2,
        "twice": 2,
    }


def test_what_models_are_judged_by_is_refused_or_counted(read):
    texts = [{"text": "New."}, {"text": "Asked last."}, {"text": "Held out."}]
    with pytest.raises(DataError, match=r"validation: 1, test: 1") as error:
        read(texts)
    assert "texts.jsonl:3 = " in str(error.value.where)
    assert "allow_overlap" in str(error.value.remedy)
    data = read(texts, allow_overlap=True)
    assert len(inputs(data)) == 3
    assert data.unlabelled["overlap"] == {"validation": 1, "test": 1}


def test_labels_are_not_used_and_counted(read):
    data = read([{"text": "One.", "label": "no such label"}, {"text": "Two."}])
    assert data.unlabelled["labelled"] == 1
    assert data.task.candidates == ("a", "b")
    assert {sample.gold for sample in data.samples["unlabelled"]} == {"a"}


def test_none_is_left(read):
    with pytest.raises(DataError, match=r"No text without labels is left.*2 rows, 2 of them in train"):
        read([{"text": "Train 0."}, {"text": "Train 1."}])


def test_bad_rows_are_reported_as_elsewhere(read):
    texts = [{"text": "One."}, {"text": " "}, {"text": "Two."}]
    with pytest.raises(DataError, match=r'Field "text" is empty.*texts\.jsonl:2'):
        read(texts)
    data = read(texts, on_bad_row="skip")
    assert inputs(data) == ["One.", "Two."]
    assert data.bad_rows.counts == {"train": 0, "validation": 0, "test": 0, "unlabelled": 1}


def test_columns_are_renamed_for_texts_too(tmp_path):
    for split, rows in {"train": TRAIN, **REST}.items():
        write(tmp_path / "d" / f"{split}.jsonl", [{"body": row["text"], "label": row["label"]} for row in rows])
    texts = write(tmp_path / "t.jsonl", [{"body": "One."}])
    data = Classification(DataSource(str(tmp_path / "d"), columns={"body": "text"}, unlabelled=texts)).read()
    assert inputs(data) == ["One."]


def test_converters_pass_over_what_they_can_not_convert(tmp_path):
    tagged = [{"tokens": [f"Ann{i}", "met", "Bob"], "tags": ["B-PER", "O", "B-PER"]} for i in range(9)]
    for split, rows in {"train": tagged[:5], "validation": tagged[5:6], "test": tagged[6:7]}.items():
        write(tmp_path / "d" / f"{split}.jsonl", rows)
    texts = write(tmp_path / "t.jsonl", [tagged[7], {"text": "Just text."}])
    data = NER(DataSource(str(tmp_path / "d"), converters=[TaggedTokens()], unlabelled=texts)).read()
    assert inputs(data) == ["Ann7 met Bob", "Just text."]
    assert data.unlabelled is not None
    assert data.unlabelled["labelled"] == 1


def test_at_most_so_many(read):
    texts = [{"text": f"Text {i}."} for i in range(20)]
    drawn = inputs(read(texts, max_samples={"unlabelled": 5}))
    assert len(drawn) == 5
    assert drawn == inputs(read(texts, max_samples={"unlabelled": 5}))
    assert len(inputs(read(texts, max_samples=3))) == 20


@pytest.mark.parametrize("name", ["unlabelled.jsonl", "TRAIN.JSONL", "whatever.json", "x-0-of-1.jsonl"])
def test_a_folder_has_one_file_of_them(read, tmp_path, name):
    write(tmp_path / "texts" / name, [{"text": "One."}])
    assert inputs(read(str(tmp_path / "texts"))) == ["One."]


def test_paths_that_hold_nothing(read, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing", tmp_path / "data" / "x.txt"):
        with pytest.raises(DataError, match=r"There is no data file at the path\. Where: task\.data\.unlabelled"):
            read(str(path))
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / "two" / name, [{"text": "One."}])
    with pytest.raises(DataError, match=r"several data files.*a\.jsonl, b\.jsonl"):
        read(str(tmp_path / "two"))


def test_a_hub_set_of_them(read, tmp_path):
    files = write(tmp_path / "hub.jsonl", [{"text": "One."}, {"text": "Two."}])
    assert inputs(read(HubSet("json", data_files=files))) == ["One.", "Two."]


@pytest.mark.parametrize(("task", "kind"), [("ner", NER), ("qa", QA), ("classification", Classification)])
def test_those_of_the_embedded_data_sets(task, kind):
    data = kind(DataSource(synthetic={"train": 40, "unlabelled": 30, "seed": 7})).read()
    samples = data.samples["unlabelled"]
    assert len(samples) == 30
    rows = generate_texts(task, 30, 7)
    assert rows[:10] == generate_texts(task, 10, 7)
    assert rows != generate_texts(task, 30, 8)
    assert {home(row.get("text") or row["context"]) for row in rows} == {"pool"}
    labels = set(generate(task, train=1)["train"][0]) - set(rows[0]) - {"id"}
    assert labels == {"ner": {"entities"}, "qa": {"answer"}, "classification": {"label"}}[task]
    # Neither the labelled rows nor what tells one draw from another know of them.
    alone = kind(DataSource(synthetic={"train": 40, "seed": 7})).read()
    assert (data.digest, data.description) == (alone.digest, alone.description)


QUESTIONS: dict[str, dict[str, Any]] = {
    "choice": {"question": "Which?", "choices": ["x", "y"], "answer": 1},
    "yes_no": {"question": "Is it?", "context": "It is.", "answer": "no"},
    "extractive": {"question": "Who?", "context": "Ann did.", "answer": "Ann"},
}


@pytest.mark.parametrize("form", QUESTIONS)
def test_questions_of_each_form(tmp_path, form):
    row, other = QUESTIONS[form], {"choice": 0, "yes_no": "yes", "extractive": "did"}[form]
    for split in ("train", "validation", "test"):
        rows = [row | {"question": f"{split} {i}?"} for i in range(3)]
        write(tmp_path / "d" / f"{split}.jsonl", [*rows, row | {"question": f"{split}?", "answer": other}])
    texts = write(tmp_path / "t.jsonl", [{name: value for name, value in row.items() if name != "answer"}])
    data = QA(DataSource(str(tmp_path / "d"), unlabelled=texts)).read()
    assert data.task.settings()["format"] == form
    assert [sample.fields["question"] for sample in data.samples["unlabelled"]] == [row["question"]]


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "data", "synthetic": {"unlabelled": 3}},
        {"unlabelled": "texts.jsonl", "synthetic": {"unlabelled": 3}},
        {"synthetic": {"unlabelled": -1}},
        {"synthetic": {"unlabelled": "many"}},
        {"max_samples": {"unlabelled": 0}},
    ],
)
def test_settings_that_can_not_work(settings):
    with pytest.raises(ConfigError):
        DataSource(**settings)
    DataSource(synthetic={"unlabelled": 0})
