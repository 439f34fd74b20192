"""The default pair, pretrained and carried by the package, goes through every stage."""

import json

import pytest
from transformers import AutoModelForCausalLM

EMBEDDED = ["teacher=embedded", "student=embedded", "teacher.architecture=null", "student.architecture=null"]
EMBEDDED += ["teacher.vocab_size=null", "student.vocab_size=null"]


@pytest.mark.parametrize(
    "task", [*(pytest.param(each, marks=pytest.mark.slow) for each in ("ner", "qa")), "classification"]
)
def test_a_run_with_the_embedded_pair(make_job, run_job, task):
    job = make_job(*EMBEDDED, f"task={task}")
    run_job(job)
    results = json.loads((job.run_dir / "results.json").read_text())
    assert set(results["metrics"]) == {"teacher", "anchor", "student"}
    assert [results["models"][role]["name"] for role in ("teacher", "student")] == [
        "embedded teacher",
        "embedded student",
    ]
    assert results["data"]["generator"]["seed"] == results["seed"]
    student = AutoModelForCausalLM.from_pretrained(job.run_dir / "student")
    assert student.num_parameters() == results["models"]["student"]["parameters"]
    base = json.loads((job.run_dir / "student" / "base_model.json").read_text())
    assert base == {"name": "embedded student", "hub_id": None, "license": "apache-2.0"}
