"""Evaluation on the validation split, by which settings are chosen: no test row is looked at, and none of it mixes."""

import json

import pytest

from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.runner import plan

# Of validation it is there anyway, where that is evaluated.
CONFIDENCE = "confidence of student"


class Untouchable(list):
    """A split that nobody may look at."""

    def _refuse(self, *_):
        raise AssertionError("a row of this split was looked at")

    __getitem__ = __iter__ = __len__ = _refuse


def test_in_tuning_no_test_row_is_answered_or_scored(make_job, run_job):
    job = make_job("evaluate.split=validation")
    job.data.samples["test"] = Untouchable()
    job.data.tokenized["test"] = Untouchable()
    run_job(job)
    validation = [sample.id for sample in job.data.samples["validation"]]
    for model in ("teacher", "anchor", "student", "samples"):
        lines = (job.run_dir / "predictions" / f"{model}.jsonl").read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == validation
    results = json.loads((job.run_dir / "results.json").read_text())
    assert results["evaluated_split"] == "validation"
    assert results["primary_metric"] in results["metrics"]["student"]


def test_the_split_is_in_the_keys_of_evaluations_alone(make_job):
    keys = {
        split: {
            step.name: step.key.digest for step in plan(make_job(f"evaluate.split={split}")) if step.name != CONFIDENCE
        }
        for split in ("validation", "test")
    }
    differ = {name for name in keys["test"] if keys["test"][name] != keys["validation"][name]}
    assert differ == {name for name in keys["test"] if name.startswith("evaluation of")}


def test_base_models_are_evaluated_where_asked(make_job):
    embedded = ["teacher=embedded", "student=embedded", "teacher.architecture=null", "student.architecture=null"]
    embedded += ["teacher.vocab_size=null", "student.vocab_size=null"]
    names = {step.name for step in plan(make_job(*embedded))}
    with_base = {step.name for step in plan(make_job(*embedded, "evaluate.base=true"))}
    assert with_base - names == {"evaluation of base_teacher", "evaluation of base_student"}
    assert names < with_base


def test_an_unknown_split_is_refused(make_job):
    with pytest.raises(ConfigError, match="evaluate.split"):
        make_job("evaluate.split=train", prepared=False)
