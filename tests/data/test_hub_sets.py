"""Sets through the `datasets` library, really loaded from local files; the hub's failures without a network."""

import csv
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import datasets
import pytest
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import HfApi, errors

from scd_lightning.data.hub_sets import HubSet
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError

# The HTTP library that huggingface_hub itself uses (httpx, or its successor).
http = sys.modules[errors.HTTPError.__module__.split(".")[0]]
ROWS = [{"text": f"row {i}", "label": "ab"[i % 2]} for i in range(10)]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def jsonl(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_files_by_split(tmp_path):
    files = {"train": jsonl(tmp_path / "a.jsonl"), "held_out": jsonl(tmp_path / "b.jsonl", ROWS[:3])}
    rows = HubSet("json", data_files=files, splits={"train": "train", "test": "held_out"}).read()
    assert {split: len(part) for split, part in rows.items()} == {"train": 10, "test": 3}
    assert rows["test"][1].values == ROWS[1]
    assert rows["test"][1].where == "local files, test:2"


def test_usual_names_of_splits_are_known_and_others_left_alone(tmp_path):
    files = {name: jsonl(tmp_path / f"{name}.jsonl") for name in ("train", "dev", "unlabelled")}
    assert list(HubSet("json", data_files=files).read()) == ["train", "validation"]


def test_a_missing_split_names_those_that_are_there(tmp_path):
    files = {"everyone": jsonl(tmp_path / "a.jsonl")}
    for splits in (None, {"train": "no such"}):
        with pytest.raises(DataError, match=r"lacks a split.*Got: everyone\..*splits: \{train: everything\}"):
            HubSet("json", data_files=files, splits=splits).read()


def test_csv_cells_are_text_as_they_stand(tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label", "note"], ["None", "NA", ""], ["nan", "b", "x"]])
    rows = HubSet("csv", data_files=str(tmp_path / "a.csv")).read()["train"]
    assert [row.values for row in rows] == [
        {"text": "None", "label": "NA", "note": None},
        {"text": "nan", "label": "b", "note": "x"},
    ]


def test_numbers_in_csv_files_are_text_in_every_split(tmp_path):
    (tmp_path / "a.csv").write_text("id,a,b\n007,1.50,10\n008,2.00,20\n")
    (tmp_path / "b.csv").write_text("id,a,b\nx,none,\n")
    rows = HubSet("csv", data_files={"train": str(tmp_path / "a.csv"), "test": str(tmp_path / "b.csv")}).read()
    assert rows["train"][0].values == {"id": "007", "a": "1.50", "b": "10"}
    assert rows["test"][0].values == {"id": "x", "a": "none", "b": None}


def test_forms_of_other_tools_are_recognised(tmp_path):
    asked = [
        {"question": f"Who is {i}?", "context": f"Ann or Bo {i}", "answers": {"text": [name], "answer_start": [0]}}
        for i, name in enumerate(["Ann", "Bo"] * 6)
    ]
    data = DataSource(hub=HubSet("json", data_files=jsonl(tmp_path / "a.jsonl", asked))).read("qa")
    assert data.rows["train"][0].values["answer"] in (["Ann"], ["Bo"])
    assert "as SQuAD has them" in data.notes[0]
    choices = {"label": ["A", "B"], "text": ["one", "two"]}
    chosen = [{"question": f"Is it {i}?", "choices": choices, "answerKey": "AB"[i % 2]} for i in range(12)]
    data = DataSource(hub=HubSet("json", data_files=jsonl(tmp_path / "b.jsonl", chosen))).read("qa")
    assert {(*row.values["choices"], row.values["answer"]) for row in data.rows["train"]} == {
        ("one", "two", 0),
        ("one", "two", 1),
    }


def test_an_empty_cell_is_no_missing_column(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,x\nb,\n")
    row = HubSet("csv", data_files=str(tmp_path / "a.csv")).read()["train"][1]
    with pytest.raises(DataError, match=r'"label" is empty.*on_bad_row=skip'):
        row.string("label")


def test_a_folder_as_a_hub_set_in_a_source(tmp_path):
    jsonl(tmp_path / "train.jsonl", [{"body": row["text"], "label": row["label"]} for row in ROWS])
    data = DataSource(hub=str(tmp_path), columns={"body": "text"}).read("classification")
    assert {split: len(rows) for split, rows in data.rows.items()} == {"train": 8, "validation": 1, "test": 1}
    assert (data.origin, data.lost) == ("local folder", {})
    assert data.rows["test"][0].values["text"].startswith("row ")


def test_a_path_goes_before_the_hub(tmp_path):
    jsonl(tmp_path / "train.jsonl")
    assert DataSource(str(tmp_path), hub="owner/set").read("classification").origin == "local folder"


def test_where_a_set_comes_from():
    assert HubSet("owner/set", "part", "v1").origin == "hub set owner/set (part) at v1"
    assert HubSet("csv", data_files="https://host/a.csv").origin == "https://host/a.csv"
    shown = HubSet("csv", data_files=["https://me:pass@host/a.csv?v=1&X-Amz-Signature=abc", "file:///home/me/b.csv"])
    assert shown.origin == "https://(hidden)@host/a.csv?v=1&X-Amz-Signature=(hidden)"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [({"path": "csv"}, "data_files"), ({"path": "owner/set", "splits": {"trian": "train"}}, "splits")],
)
def test_settings_that_can_not_work(arguments, where):
    with pytest.raises(ConfigError, match=rf"task\.data\.hub\.{where}"):
        HubSet(**arguments)


def answer(status):
    return http.Response(status, request=http.Request("GET", "https://huggingface.co/api/datasets/owner/set"))


GATED, UNKNOWN, UNREACHABLE = "is gated", "There is no such data set", "can't be reached"
FAILURES = [
    (errors.GatedRepoError("gated", response=answer(403)), GATED, "HF_TOKEN.*task.data.path="),
    (DatasetNotFoundError("Dataset 'owner/set' is a gated dataset on the Hub."), GATED, "accept its terms"),
    (DatasetNotFoundError("Dataset 'owner/set' doesn't exist"), UNKNOWN, "check the spelling"),
    (errors.RepositoryNotFoundError("none", response=answer(401)), UNKNOWN, "task.data.path="),
    (errors.RevisionNotFoundError("none", response=answer(404)), UNKNOWN, "a revision that it has"),
    (errors.HfHubHTTPError("down", response=answer(503)), UNREACHABLE, "task.data.path="),
    (http.ConnectError("refused"), UNREACHABLE, "connect"),
    (http.ReadTimeout("slow"), UNREACHABLE, "connect"),
    (ValueError("Config name is missing."), "can't be loaded", "with name, revision or data_files: 'task"),
    (RuntimeError("Dataset scripts are no longer supported"), "can't be loaded", "refs/convert/parquet"),
]


@pytest.mark.parametrize(("error", "what", "remedy"), FAILURES)
def test_each_failure_says_what_to_do(monkeypatch, error, what, remedy):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(HfApi, "dataset_info", fail)
    with pytest.raises(DataError, match=rf"{what}.*Where: task\.data\.hub=owner/set.*{remedy}") as caught:
        HubSet("owner/set").read()
    assert caught.value.__cause__ is error


def test_a_name_that_can_be_no_set():
    with pytest.raises(DataError, match=UNKNOWN):
        HubSet("no/such/set").read()


def test_an_address_without_a_file(tmp_path):
    class Nothing(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.handle_request, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/a.csv"
    with pytest.raises(DataError, match=f"{UNKNOWN}.*{address}"):
        HubSet("csv", data_files=address).read()
    server.server_close()


@pytest.mark.parametrize("hub", ["'owner/set'", "'csv', data_files='https://raw.githubusercontent.com/a/b/c.csv'"])
def test_offline_it_fails_at_once_and_says_so(tmp_path, hub):
    code = f"from scd_lightning.data.hub_sets import HubSet\nHubSet({hub}).read()"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "unset HF_HUB_OFFLINE, or download its files" in done.stderr
    assert time.monotonic() - start < 60  # Seconds by itself; tests run beside others.
