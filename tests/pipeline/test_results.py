"""Equal runs leave equal results, wherever they are and whatever ran before them."""

import pytest


@pytest.mark.parametrize("task", ["ner", *(pytest.param(t, marks=pytest.mark.slow) for t in ("qa", "classification"))])
def test_same_seed_same_bytes(make_job, run_job, task):
    runs = [make_job(f"task={task}", run=f"run/{name}", store=f"store_{name}") for name in ("first", "second")]
    for job in runs:
        run_job(job)
    first, second = (job.run_dir for job in runs)
    for name in ("results.json", "schedule.json", "trajectory.json", "curves.json", "student/model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    for name in ("teacher", "anchor", "student"):
        assert (first / f"predictions/{name}.jsonl").read_bytes() == (second / f"predictions/{name}.jsonl").read_bytes()


def test_results_name_no_place(make_job, run_job, tmp_path):
    job = make_job("method=td")
    run_job(job)
    assert str(tmp_path) not in (job.run_dir / "results.json").read_text()
