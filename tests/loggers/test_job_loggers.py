"""Jobs with no logger, with CSV, with several; and how a job's end reaches its loggers."""

import csv
from functools import partial

import pytest
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, WandbLogger

from scd_lightning.errors import ConfigError
from scd_lightning.loggers.job_loggers import JobInfo, JobLogger, JobLoggers
from scd_lightning.loggers.makers import check_makers

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


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (partial(WandbLogger, project="p"), "one run of all phases, and of all jobs of a sweep"),
        (
            partial(MLFlowLogger, tracking_uri="file:x"),
            r"\(got an unexpected keyword argument 'name'\)\. Where: logger\.own",
        ),
        (CSVLogger("x"), r"Got: CSVLogger\. Expected: _partial_: true"),
    ],
)
def test_a_logger_that_a_phase_can_not_have_is_refused(make, told):
    check_makers({"csv": partial(CSVLogger, "x"), "ours": Recorder()})
    with pytest.raises(ConfigError, match=told):
        check_makers({"own": make})


def test_a_logger_that_lacks_its_package_is_refused(make_job):
    job = make_job("+logger.comet={_target_: lightning.pytorch.loggers.CometLogger, _partial_: true}", prepared=False)
    with pytest.raises(ConfigError, match=r"A logger can't be made .*comet.*Where: logger\."):
        job.new_loggers("distill")


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
