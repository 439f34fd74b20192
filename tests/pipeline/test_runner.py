"""The order of stages, what of them is left out, and what is there already."""

import json

import pytest

from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.runner import plan


def kinds(job) -> dict[str, int]:
    """How many artifacts of each kind the job's store holds."""
    names = [path.name.rsplit("-", 1)[0] for path in job.store.root.iterdir() if (path / "artifact.json").is_file()]
    return {name: names.count(name) for name in sorted(set(names))}


def test_one_stage_alone(make_job, run_job):
    job = make_job("stages=[teacher_sft]")
    assert list(run_job(job)) == ["teacher"]
    assert kinds(job) == {"teacher": 1, "tokenizer": 1}


@pytest.mark.parametrize(
    ("stages", "missing"),
    [
        ("[distill]", "teacher_sft"),
        ("[teacher_sft,distill]", "student_sft"),
        ("[evaluate]", "teacher_sft"),
        ("[report]", "teacher_sft"),
    ],
)
def test_a_stage_that_is_left_out_and_not_there(make_job, run_job, stages, missing, monkeypatch):
    job = make_job(f"stages={stages}")
    for stage in ("teacher_sft", "student_sft", "distill"):
        monkeypatch.setattr(
            f"scd_lightning.pipeline.runner.{stage}", lambda *_, stage=stage: ({"trajectory": [], "best": 0}, {})
        )
    monkeypatch.setattr("scd_lightning.pipeline.runner.summarize", lambda *_: "")
    with pytest.raises(ConfigError, match=f"The stage {missing} is left out and its result is not in the store") as e:
        run_job(job)
    assert e.value.where == "stages"
    assert missing in str(e.value.expected)


def test_the_anchor_needs_no_teacher(make_job, run_job):
    assert set(run_job(make_job("stages=[student_sft]"))) == {"anchor"}


def test_stages_by_and_by_equal_a_run_at_once(make_job, run_job):
    at_once = make_job("method=td", run="at_once", store="one")
    run_job(at_once)
    for number, stages in enumerate(("teacher_sft", "student_sft,distill", "evaluate", "report")):
        job = make_job("method=td", f"stages=[{stages}]", run=f"part{number}", store="two")
        run_job(job)
    last, whole = job.run_dir, at_once.run_dir
    assert (last / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert all(cost["reused"] for cost in json.loads((last / "costs.json").read_text()).values())
    assert not any(cost["reused"] for cost in json.loads((whole / "costs.json").read_text()).values())


def test_plain_fine_tuning(make_job, run_job):
    job = make_job("method=sft")
    assert [step.name for step in plan(job)] == [
        "teacher", "anchor", "evaluation of teacher", "evaluation of anchor", "evaluation of student",
    ]  # fmt: skip
    run_job(job)
    results = json.loads((job.run_dir / "results.json").read_text())
    assert results["method"] == "sft"
    assert results["schedule"] == []
    assert results["metrics"]["student"] == results["metrics"]["anchor"]
    assert results["subdomains"]["student_vs_teacher"] == results["subdomains"]["anchor_vs_teacher"]
    assert not (job.run_dir / "schedule.json").exists()
    assert kinds(job) == {"anchor": 1, "evaluation": 2, "teacher": 1, "tokenizer": 1}
    predictions = [(job.run_dir / "predictions" / f"{name}.jsonl").read_bytes() for name in ("anchor", "student")]
    assert predictions[0] == predictions[1]
