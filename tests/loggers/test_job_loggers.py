"""Jobs with no logger, with CSV, with several; and how a job's end reaches its loggers."""

import csv

import pytest
from lightning.pytorch.loggers import CSVLogger

from scd_lightning.loggers.job_loggers import JobInfo, JobLogger, JobLoggers

INFO = JobInfo("td-0", "group", "td", {})


class Recorder(JobLogger):
    """Writes down what it is told."""

    def __init__(self):
        self.told = []

    def __call__(self, name):
        raise NotImplementedError

    def begin(self, info):
        self.told.append(info.name)

    def results(self, values, verdict):
        self.told.append(verdict)

    def table(self, name, columns, rows):
        self.told.append(name)

    def finish(self, *, failed):
        self.told.append("failed" if failed else "finished")


def test_a_job_ends_with_its_outcome_in_every_logger():
    loggers = [Recorder(), Recorder()]
    with JobLoggers([*loggers, CSVLogger]).open(INFO) as job:
        job.results({}, "it won")
        job.table("differences", [], [])
    assert [logger.told for logger in loggers] == [["td-0", "it won", "differences", "finished"]] * 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_job_is_told_of(error):
    logger = Recorder()
    with pytest.raises(error), JobLoggers([logger]).open(INFO):
        raise error
    assert logger.told == ["td-0", "failed"]


def test_csv(run_py, tmp_path):
    code, _, error = run_py("logger=csv", "hydra.run.dir=run", "trainer.log_every_n_steps=1")
    assert code == 0, error
    for stage in ("teacher_sft", "student_sft", "distill"):
        (file,) = (tmp_path / "run" / "logs" / stage).rglob("metrics.csv")
        rows = list(csv.DictReader(file.open()))
        losses = {int(row["step"]): float(row["train_loss"]) for row in rows if row.get("train_loss")}
        assert list(losses) == [6, 12]
        batches = {int(row["step"]): float(row["batch_loss"]) for row in rows if row.get("batch_loss")}
        assert list(batches) == list(range(1, 13))
        if stage != "distill":  # Batches of one size: the epoch's loss is the mean of theirs.
            assert losses[6] == pytest.approx(sum(batches[step] for step in range(1, 7)) / 6, rel=1e-4)


def test_none(run_py, tmp_path):
    code, _, error = run_py("logger=none", "hydra.run.dir=run", "method=sft")
    assert code == 0, error
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"results.json", "report.html"}
    assert not list((tmp_path / "run").rglob("metrics.csv"))
