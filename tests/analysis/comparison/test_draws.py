"""What a sweep shows while it is running."""

import json
import multiprocessing

import pytest

from scd_lightning.analysis.comparison.draws import Draws

JOBS = [[f"method={method}", f"seed={seed}"] for seed in (10, 11) for method in ("sft", "scd_aw")]
# The processes here read and write small files only.
fork = multiprocessing.get_context("fork")


@pytest.fixture
def draws(tmp_path):
    found = Draws.of(JOBS, tmp_path)
    assert found is not None
    return found


@pytest.fixture
def runs(make_run):
    return [
        make_run(str(number), method=each[0].partition("=")[2], seed=int(each[1][5:]))
        for number, each in enumerate(JOBS)
    ]


def test_jobs_are_grouped_by_their_seed_in_either_order(draws, tmp_path):
    assert draws.jobs == {"10": [0, 1], "11": [2, 3]}
    other = Draws.of([JOBS[index] for index in (0, 2, 1, 3)], tmp_path)
    assert other is not None
    assert other.jobs == {"10": [0, 2], "11": [1, 3]}


@pytest.mark.parametrize(
    "jobs",
    [
        [],
        [["seed=0"], ["seed=1"]],
        [["method=sft"], ["method=td"]],
        [["method=sft", "seed=0"], ["method=td", "seed=0"]],
    ],
    ids=["unknown", "seeds alone", "methods alone", "one seed"],
)
def test_other_sweeps_show_nothing_meanwhile(tmp_path, jobs):
    assert Draws.of(jobs, tmp_path) is None


def test_a_table_comes_with_the_last_job_of_each_seed_but_the_last(draws, runs, tmp_path, capsys):
    draws.end(1, runs[1])
    draws.end(2, runs[2])
    assert not capsys.readouterr().out
    draws.end(0, runs[0])
    out = capsys.readouterr().out
    assert "after 1 of 2 draws (seed 10); more are running" in out
    assert f"comparison so far: {tmp_path / 'comparison.html'}" in out.splitlines()
    (setting,) = json.loads((tmp_path / "comparison.json").read_text())["settings"]
    # The rows are in the order of the jobs, not in that in which they ended; what runs alone yet is left out.
    assert [(row["method"], row["seeds"]) for row in setting["rows"]] == [("sft", [10]), ("scd_aw", [10])]
    draws.end(3, runs[3])
    assert not capsys.readouterr().out


def test_a_failed_job_is_one_that_ended(draws, runs, capsys):
    draws.end(0, runs[0])
    (runs[1] / "failure.json").write_text(json.dumps({"type": "NotFinite", "message": "The loss is nan"}))
    draws.end(1, runs[1])
    assert "failed: 1: NotFinite: The loss is nan" in capsys.readouterr().out


def test_an_earlier_sweep_in_the_same_folder_is_forgotten(draws, runs, tmp_path, capsys):
    draws.end(0, runs[0])
    draws.forget()
    draws.forget()
    draws.end(1, runs[1])
    assert not capsys.readouterr().out


def test_of_jobs_that_end_at_once_one_shows_the_table(draws, runs, capfd):
    start = fork.Event()

    def end(job):
        start.wait(20)
        draws.end(job, runs[job])

    processes = [fork.Process(target=end, args=(job,)) for job in (0, 1)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert capfd.readouterr().out.count("after 1 of 2 draws") == 1
