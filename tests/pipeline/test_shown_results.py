"""What results say: no secrets, and nothing of the data changed."""

import json

from scd_lightning.launch import failures
from scd_lightning.pipeline.shown_results import shown_results
from scd_lightning.redaction.secret_places import HIDDEN


def test_labels_and_metrics_are_the_data_s_own_whatever_they_are_called():
    labels = {"password": 3, "token: abc123": 2, "https://me:pass@host/": 1}
    results = {
        "data": {
            "settings": {"labels": list(labels), "ordered": False},
            "unseen_labels": labels,
            "unlabelled": {"labels": {"answers": labels, "train": labels}, "kept": 3},
        },
        "metrics": {"student": {"password": 0.5}},
        "seed": 0,
        "imported": {},
    }
    assert shown_results(results) == results


def test_what_a_run_was_told_is_clean():
    results = {
        "data": {
            "source": "https://me:pass@host/a.csv",
            "warnings": ["read with token=abc123"],
            "settings": {"match": "spans", "api_key": "abc", "labels": ["a"]},
        },
        "models": {"teacher": {"name": "of hf_abcdefghijklm", "parameters": 5}},
    }
    assert shown_results(results) == {
        "data": {
            "source": f"https://{HIDDEN}@host/a.csv",
            "warnings": [f"read with token={HIDDEN}"],
            "settings": {"match": "spans", "api_key": HIDDEN, "labels": ["a"]},
        },
        "models": {"teacher": {"name": f"of {HIDDEN}", "parameters": 5}},
    }


def test_the_error_of_a_process_is_clean(tmp_path):
    try:
        raise ValueError("no answer from https://me:sesame-open@host/")
    except ValueError as error:
        failures.record(tmp_path, 1, error)
    (found,) = failures.find_failures(tmp_path)
    assert found.message == "no answer from https://(hidden)@host/"
    assert "sesame" not in json.dumps(vars(found))
