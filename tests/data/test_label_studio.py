"""Exports of Label Studio and Prodigy: what people marked and accepted is read, and what is left out is said."""

import json

import pytest

from scd_lightning.data.label_studio import unwrap_tasks
from scd_lightning.data.rows import Row
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from tests.data.examples import OWN, SENTENCES

LETTERS = [{"text": f"letter {i}", "label": ("praise", "blame")[i % 2]} for i in range(20)]


def regions(text, marks):
    return [
        {"id": f"r{a}", "from_name": "n", "to_name": "t", "type": "labels",
         "value": {"start": a, "end": b, "text": text[a:b], "labels": [c]}}
        for a, b, c in marks
    ]  # fmt: skip


def task(number, text, results, **more):
    annotations = [{"id": number, "was_cancelled": False, "result": result} for result in results]
    return {"id": number, "data": {"text": text}, "annotations": annotations, "predictions": [], "meta": {}, **more}


def tasks():
    return [task(i, text, [regions(text, marks)]) for i, (text, marks) in enumerate(SENTENCES)]


def chosen(letter, number=0, name="mood"):
    return [{"id": str(number), "from_name": name, "type": "choices", "value": {"choices": [letter["label"]]}}]


def ner(folder, **settings):
    return NER(DataSource(folder, **settings)).read()


def contents(data):
    """What samples hold, without their names."""
    return {split: [(each.fields["text"], each.completion) for each in part] for split, part in data.samples.items()}


@pytest.fixture
def own(write_folder):
    return contents(ner(write_folder("own", train=OWN)))


def test_older_and_other_exports(write_folder, own):
    old = [
        {"completions" if name == "annotations" else name: value for name, value in each.items()} for each in tasks()
    ]
    flat = [{"id": each["id"], "data": each["data"], "result": each["annotations"][0]["result"]} for each in tasks()]
    hidden = [{**each, "predictions": [{"result": regions("a b", [(0, 1, "X")])}]} for each in tasks()]
    for number, rows in enumerate((tasks(), old, flat, hidden)):
        data = ner(write_folder(f"form{number}", train=rows))
        assert contents(data) == own
        assert data.doubts[0] == "The rows are Label Studio's tasks with their annotations, and read so."


def test_the_name_of_the_text_is_its_own(write_folder, own):
    rows = [{**each, "data": {"body": each["data"]["text"], "page": 7}} for each in tasks()]
    assert contents(ner(write_folder("only", train=rows))) == own
    rows = [{**each, "data": {"body": each["data"]["body"], "title": "x"}} for each in rows]
    folder = write_folder("two", train=rows)
    assert contents(ner(folder, columns={"body": "text"})) == own
    with pytest.raises(DataError, match=r'"text" is missing.*body.*title'):
        ner(folder)


def test_hypertext_counts_in_all_of_it(write_folder, own):
    rows = tasks()
    for each in rows:
        for region in each["annotations"][0]["result"]:
            value = region["value"]
            value["globalOffsets"] = {"start": value["start"], "end": value["end"]}
            value |= {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0}
    assert contents(ner(write_folder(train=rows))) == own


def test_tasks_that_nobody_annotated_are_left_out_and_counted(write_folder):
    rows = tasks()
    rows[1]["annotations"] = []
    rows[2]["annotations"][0]["was_cancelled"] = True
    data = ner(write_folder(train=rows))
    assert sum(len(part) for part in data.samples.values()) == 18
    assert "2 of them have no annotation, or were skipped, and are left out." in data.doubts[0]
    assert data.samples["train"][0].id == "0"


@pytest.mark.parametrize("guessed", [0, 1])
def test_predictions_are_no_labels(write_folder, guessed):
    rows = [{**each, "annotations": [], "predictions": each["annotations"] * guessed} for each in tasks()]
    said = "20 have a model's predictions" if guessed else "20 tasks without one"
    with pytest.raises(
        DataError, match=rf"None of Label Studio's tasks has an annotation.*{said}.*task\.data\.unlabelled"
    ):
        ner(write_folder(train=rows))


def test_several_people(write_folder, own):
    rows = tasks()
    agreed = [dict(region, id="other") for region in reversed(rows[0]["annotations"][0]["result"])]
    rows[0]["annotations"].append({"result": agreed})
    rows[1]["annotations"].insert(0, {"result": []})
    rows[1]["annotations"][1]["ground_truth"] = True
    assert contents(ner(write_folder(train=rows))) == own
    rows[1]["annotations"][1]["ground_truth"] = False
    with pytest.raises(DataError, match=r"several times.*train\.jsonl:2.*1 of 20 rows.*ground truth"):
        ner(write_folder("disagreed", train=rows))


def classify(folder, **settings):
    return Classification(DataSource(folder, **settings)).read()


def test_choices_are_labels(write_folder):
    own = contents(classify(write_folder("own", train=LETTERS)))
    rows = [task(i, each["text"], [chosen(each)]) for i, each in enumerate(LETTERS)]
    assert contents(classify(write_folder("choices", train=rows))) == own
    for i, each in enumerate(rows):
        each["annotations"][0]["result"] += chosen({"label": "high"}, i, "urgency")
    folder = write_folder("two", train=rows)
    assert contents(classify(folder, columns={"mood": "label"})) == own
    with pytest.raises(DataError, match=r'"label" is missing.*mood.*urgency'):
        classify(folder)
    rows[3]["annotations"][0]["result"][0]["value"]["choices"].append("blame and more")
    with pytest.raises(DataError, match=r"several labels.*1 of 20"):
        classify(write_folder("more", train=rows), columns={"mood": "label"})


@pytest.mark.parametrize("wrap", [lambda label: label, lambda label: {"choices": [label]}])
def test_the_export_of_columns(write_folder, wrap):
    about = {"annotator": 1, "annotation_id": 5, "created_at": "x", "updated_at": "y", "lead_time": 1.5}
    rows = [{"id": i, "text": each["text"], "mood": wrap(each["label"]), **about} for i, each in enumerate(LETTERS)]
    data = classify(write_folder("columns", train=rows))
    assert contents(data) == contents(classify(write_folder("own", train=LETTERS)))
    assert 'Labels are read from the column "mood"' in data.doubts[0]


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("key", ["text", "body"])
def test_texts_without_labels(write_folder, tmp_path, annotated, key):
    texts = [{"id": i, "data": {key: f"New letter {i}"}} for i in range(4)]
    if annotated:
        texts = [{**each, "annotations": [{"result": []}, {"result": [1]}], "predictions": []} for each in texts]
    (tmp_path / "more.json").write_text(json.dumps(texts))
    more = str(tmp_path / "more.json")
    for data in (
        ner(write_folder("own", train=OWN), unlabelled=more),
        classify(write_folder("letters", train=LETTERS), unlabelled=more),
    ):
        assert [each.fields["text"] for each in data.samples["unlabelled"]] == [f"New letter {i}" for i in range(4)]
        assert [*data.doubts][:2] == [
            "more.json is an array, read so.",
            "The texts without labels are Label Studio's tasks, and read so.",
        ]


def test_rows_with_such_a_column_are_no_tasks():
    rows = {"train": [Row("1", {"data": {"a": 1}, "text": "x"}, "f", 1)]}
    assert unwrap_tasks("ner", rows, [], ()) == {"train": rows["train"]}
    assert unwrap_tasks("ner", {"train": []}, [], ()) == {"train": []}


def prodigy(answers, **columns):
    return [
        {**row, "_input_hash": 1, "_task_hash": i, "answer": answers[i % len(answers)], **columns}
        for i, row in enumerate(OWN)
    ]


def test_what_was_rejected_is_not_learnt(write_folder, own):
    spans = [{"spans" if name == "entities" else name: value for name, value in row.items()} for row in OWN]
    rows = [{**row, "answer": "accept", "tokens": [{"text": "On", "id": 0}]} for row in spans]
    assert contents(ner(write_folder("accepted", train=rows))) == own
    data = ner(write_folder("some", train=prodigy(["accept", "accept", "reject", "accept", "ignore"])))
    assert sum(len(part) for part in data.samples.values()) == 12
    assert data.doubts[0].endswith("4 were rejected and 4 ignored: they are left out.")


def test_options_that_were_accepted(write_folder):
    options = [{"id": "praise", "text": "Praise"}, {"id": "blame", "text": "Blame"}]
    rows = [
        {"text": each["text"], "options": options, "accept": [each["label"]], "answer": "accept"} for each in LETTERS
    ]
    data = classify(write_folder("options", train=rows))
    assert contents(data) == contents(classify(write_folder("own", train=LETTERS)))


def test_categories_of_spacy(write_folder):
    rows = [
        {"text": each["text"], "cats": {name: float(name == each["label"]) for name in ("praise", "blame")}}
        for each in LETTERS
    ]
    data = classify(write_folder("cats", train=rows))
    assert contents(data) == contents(classify(write_folder("own", train=LETTERS)))


def test_other_columns_called_answer_are_none_of_prodigys(write_folder):
    rows = [{**row, "answer": ["accept", ["reject"]][i % 2]} for i, row in enumerate(OWN)]
    assert len(ner(write_folder(train=rows)).samples["train"]) == 16
