"""CSV files that a run goes on with."""

import csv
from pathlib import Path

import pytest
from lightning.pytorch.utilities import rank_zero_only

from scd_lightning.loggers.csv_files import CSVLogger


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "distill" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def write(tmp_path):
    """Has a new logger write values at steps."""

    def call(**values: list[int]) -> CSVLogger:
        logger = CSVLogger(str(tmp_path), name="distill", version="")
        for name, steps in values.items():
            for step in steps:
                logger.log_metrics({name: float(step)}, step)
        logger.finalize("success")
        return logger

    return call


def test_what_was_logged_stays_and_what_comes_again_stands_once(write, tmp_path):
    assert write(loss=[1, 2, 3, 4]).held == -1
    # It goes on from a state of step 2, and logs something else too.
    assert write(loss=[3, 4, 5], rate=[5]).held == 4
    assert [(row["step"], row["loss"], row["rate"]) for row in rows(tmp_path)] == [
        *((str(step), f"{step}.0", "") for step in (1, 2, 3, 4, 5)),
        ("5", "", "5.0"),
    ]


def test_a_line_that_was_cut_off_is_given_up(write, tmp_path):
    write(loss=[1, 2])
    file = tmp_path / "distill" / "metrics.csv"
    file.write_bytes(file.read_bytes() + b"3.0,")
    write(loss=[3])
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3"]


def test_the_same_command_again_leaves_the_files_as_they_are(make_job, run_job, tmp_path):
    run = ("method=sft", "phases=[student_sft]", "logger=csv", "trainer.log_every_n_steps=1")
    file = tmp_path / "run" / "logs" / "student_sft" / "metrics.csv"
    run_job(make_job(*run))
    before = file.read_bytes()
    assert b"batch_loss" in before
    assert run_job(make_job(*run))["anchor"].reused
    assert file.read_bytes() == before
    # Where there is no file, what was saved of the training is logged.
    run_job(make_job(*run, run="other"))
    other = (tmp_path / "other" / "logs" / "student_sft" / "metrics.csv").read_text()
    assert "train_loss" in other
    assert "batch_loss" not in other


def test_a_task_of_slurm_that_is_a_job_of_its_own_logs_like_any(run_py, tmp_path, monkeypatch):
    """Lightning would take it for the third process of a job, of which the first one logs."""
    monkeypatch.setattr(rank_zero_only, "rank", 2)
    code, _, error = run_py("method=sft", "phases=[student_sft]", "logger=csv", "hydra.run.dir=run")
    assert code == 0, error
    assert "train_loss" in (tmp_path / "run" / "logs" / "student_sft" / "metrics.csv").read_text()
