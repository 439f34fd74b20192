"""What annotation tools write gives the same samples as our own form, and is said in a sentence."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_lightning.data.converters import MergedLabels, PlacedStrings
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from tests.data.examples import OWN, SENTENCES


def studio(text, marks):
    return [{"start": a, "end": b, "text": text[a:b], "labels": [c]} for a, b, c in marks]


def task_of(text, marks):
    """A task of Label Studio's full export."""
    result = [{"value": value, "type": "labels", "from_name": "x", "to_name": "y"} for value in studio(text, marks)]
    return {
        "data": {"text": text, "source": "x"},
        "annotations": [{"was_cancelled": True, "result": [1]}, {"result": [*result, {"type": "relation"}]}],
    }


def columns_of(marks, start="start"):
    return {start: [a for a, _, _ in marks], "end": [b for _, b, _ in marks], "label": [c for *_, c in marks]}


FORMS = {
    "triples": [{"text": t, "label": [list(m) for m in marks], "Comments": []} for t, marks in SENTENCES],
    "triples under our name": [{"text": t, "entities": [list(m) for m in marks]} for t, marks in SENTENCES],
    "start_offset": [
        {"text": t, "entities": [{"id": 1, "label": c, "start_offset": a, "end_offset": b} for a, b, c in marks],
         "relations": []} for t, marks in SENTENCES
    ],
    "list of labels": [{"text": t, "label": studio(t, marks)} if marks else {"text": t} for t, marks in SENTENCES],
    "Label Studio's tasks": [task_of(t, marks) for t, marks in SENTENCES],
    "object of lists": [{"text": t, "entities": columns_of(marks)} for t, marks in SENTENCES],
    "other names": [
        {"text": t, "entities": [{"BeginOffset": a, "EndOffset": b, "Type": c, "Text": t[a:b]} for a, b, c in marks]}
        for t, marks in SENTENCES
    ],
    "other names, with lengths": [
        {"text": t, "spans": [{"offset": a, "length": b - a, "category": c} for a, b, c in marks]}
        for t, marks in SENTENCES
    ],
    "other names, digits as text": [
        {"text": t, "entities": [{"start": str(a), "end": str(b), "label": c} for a, b, c in marks]}
        for t, marks in SENTENCES
    ],
    "triples, labels first": [{"text": t, "entities": [[c, a, b] for a, b, c in marks]} for t, marks in SENTENCES],
    'the column "spans"': [{"text": t, "spans": own["entities"]} for (t, _), own in zip(SENTENCES, OWN, strict=True)],
}  # fmt: skip


def own(write_folder):
    return NER(DataSource(write_folder("own", train=OWN))).read()


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_tools_are_the_same_data(write_folder, form):
    data = NER(DataSource(write_folder("other", train=FORMS[form]))).read()
    assert data.digest == own(write_folder).digest
    assert any(form.removesuffix(" under our name").partition(",")[0] in doubt for doubt in data.doubts)


def write_csv(folder, rows, write=json.dumps):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows({n: v if isinstance(v, str) else (write(v) if v else "") for n, v in row.items()} for row in rows)
    folder.mkdir(exist_ok=True)
    (folder / "train.csv").write_text(out.getvalue(), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("form", ["triples", "start_offset", "object of lists", 'the column "spans"', "own"])
@pytest.mark.parametrize("write", [json.dumps, repr])
def test_lists_in_cells_of_csv_and_empty_cells(tmp_path, write_folder, form, write):
    rows = OWN if form == "own" else FORMS[form]
    data = NER(DataSource(write_csv(tmp_path / "csv", rows, write))).read()
    assert data.digest == own(write_folder).digest
    said = "4 rows have nothing in the column of the entities"
    assert any(said in doubt for doubt in data.doubts) == (form != "object of lists")


def test_regions_of_label_studio_in_cells_and_two_labels_of_one_span(tmp_path, write_folder):
    rows = [{"text": t, "label": [{**each, "labels": ["WHO", "ANY"]} for each in studio(t, m)]} for t, m in SENTENCES]
    data = NER(DataSource(write_csv(tmp_path / "csv", rows), columns={"label": "entities"})).read()
    both = [
        {"text": t, "entities": [{"start": a, "end": b, "label": c} for a, b, _ in m for c in ("WHO", "ANY")]}
        for t, m in SENTENCES
    ]
    assert data.digest == NER(DataSource(write_folder(train=both))).read().digest
    assert data.doubts[0].startswith("32 entities are regions with a list of labels as Label Studio writes them")
    assert "4 rows have nothing" in data.doubts[1]


def test_an_object_of_lists_in_parquet(tmp_path, write_folder):
    pq.write_table(pa.Table.from_pylist(FORMS["object of lists"]), tmp_path / "set.parquet")
    assert NER(DataSource(str(tmp_path / "set.parquet"))).read().digest == own(write_folder).digest


def test_class_numbers_of_labels_and_the_way_to_their_names(write_folder):
    numbers = {"WHO": 3, "TOWN": 4}
    rows = [
        {"text": t, "annotations": [{"label": numbers[c], "start_offset": a, "end_offset": b} for a, b, c in marks]}
        for t, marks in SENTENCES
    ]
    folder = write_folder("other", train=rows)
    data = NER(DataSource(folder)).read()
    assert {label for sample in data.samples["train"] for label in sample.labels} == {"3", "4"}
    assert any("MergedLabels, same: [[NAME" in doubt for doubt in data.doubts)
    named = NER(DataSource(folder, converters=[MergedLabels([["WHO", "3"], ["TOWN", "4"]])])).read()
    assert named.digest == own(write_folder).digest


def test_several_annotations_of_a_text(write_folder):
    rows = [task_of(*each) for each in SENTENCES]
    rows[7]["annotations"].append({"result": []})
    with pytest.raises(DataError, match=r"annotated several times.*train\.jsonl:8.*1 of 20 rows.*keep one"):
        NER(DataSource(write_folder(train=rows))).read()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*OWN, {"text": "no entities here"}], '"entities" is missing.*train.jsonl:21'),
        ([*FORMS["triples under our name"], {"text": "a", "entities": [[0, 1]]}], r"entities\[0\].*lacks a field"),
        ([{**row, "spans": row["label"]} for row in FORMS["triples"]], '"entities" is missing'),
        ([{"text": "a", "tokens": ["a"], "tags": ["O"]}], '"entities" is missing'),
        ([{"text": "a b", "entities": {"start": [0], "end": [1, 2], "label": ["X"]}}], "wrong type"),
    ],
)
def test_what_is_not_certain_is_no_form(write_folder, rows, said):
    with pytest.raises(DataError, match=said):
        NER(DataSource(write_folder(train=rows))).read()


def test_lists_as_numpy_prints_them(tmp_path):
    rows = "".join(f"t {i},\"['one' 'two']\",0\n" for i in range(4))
    (tmp_path / "train.csv").write_text(f"question,choices,answer\n{rows}")
    with pytest.raises(
        DataError, match=r"as numpy prints it.*column choices.*Parquet.*json\.dumps\(list\(cell\), default="
    ):
        DataSource(str(tmp_path)).read("qa")


def test_entities_without_places_name_their_converter(write_folder):
    rows = [{"text": t, "entities": [{"text": t[a:b], "label": c} for a, b, c in marks]} for t, marks in SENTENCES]
    folder = write_folder("strings", train=rows)
    with pytest.raises(DataError, match=r"strings and no places.*32 entities.*converters\.PlacedStrings"):
        NER(DataSource(folder)).read()
    assert NER(DataSource(folder, converters=[PlacedStrings()])).read().digest == own(write_folder).digest


@pytest.mark.parametrize("label", ["[urgent]", "{low}", "['odd"])
def test_labels_that_begin_with_a_bracket_are_labels(write_folder, label):
    rows = [{"text": f"mail {i}", "label": ["plain", label][i % 2]} for i in range(20)]
    task = Classification(DataSource(write_folder(train=rows))).read().task
    assert isinstance(task, Classification)
    assert label in task.candidates


def test_labels_in_lists_of_one(write_folder):
    rows = [{"text": f"mail {i}", "label": "ab"[i % 2]} for i in range(20)]
    plain = Classification(DataSource(write_folder("plain", train=rows))).read()
    listed = [{**row, "label": [row["label"]]} for row in rows]
    data = Classification(DataSource(write_folder("listed", train=listed))).read()
    assert (data.digest, "20 labels are lists with one label" in data.doubts[0]) == (plain.digest, True)
    with pytest.raises(DataError, match=r"several labels each.*train\.jsonl:21.*1 of 21"):
        Classification(DataSource(write_folder("many", train=[*listed, {"text": "both", "label": ["a", "b"]}]))).read()
    with pytest.raises(DataError, match=r'"label" is empty.*train\.jsonl:21'):
        Classification(DataSource(write_folder("none", train=[*listed, {"text": "none", "label": []}]))).read()
