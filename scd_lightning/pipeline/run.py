"""A job from its input to its report, in the one process, or in each of several."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import yaml

from scd_lightning.errors import ConfigError, Preempted, StoreError, interrupted
from scd_lightning.launch import ranks
from scd_lightning.loggers.job_loggers import JobLoggers
from scd_lightning.pipeline.job import Job
from scd_lightning.pipeline.logs import job_info, log_results
from scd_lightning.pipeline.prepare import prepare, record_rejected
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import Artifacts, execute, plan
from scd_lightning.pipeline.supervision import make_in_ranks
from scd_lightning.pipeline.unfinished import partial_report
from scd_lightning.store.manifest import write_json, write_text
from scd_lightning.store.registry import TIME, Registration

# The command line of a job, when it started and finished, or what ended it.
RUN = "run.json"


@dataclass(frozen=True)
class Finished:
    """What a job has made.

    Attributes:
        job: The job, prepared.
        made: Its artifacts.
        results: The content of results.json; None where no report was asked for.
        verdict: The run in a sentence.
    """

    job: Job
    made: Artifacts
    results: dict[str, Any] | None = None
    verdict: str = ""


def run(job: Job) -> Finished | None:
    """Prepares a job, makes what is not in the store, and writes the run's folder.

    Args:
        job: The job.

    Returns:
        What it has made, in the process that speaks for the job; None in the others.
    """
    leads, rank = ranks.tells(), ranks.is_rank()
    job.trainer.check_devices(launched=rank)
    if rank:
        ranks.join(on_gpu=job.trainer.on_gpu)
    parent = job.trainer.devices > 1 and not rank
    with _on_record(job) if leads else nullcontext():
        prepare(job)
        if leads:
            record_rejected(job)
        with JobLoggers(job.loggers).open(job_info(job, leads=leads)) as loggers:
            steps = [step for step in plan(job) if step.key.folder not in ranks.left_out()]
            job.store.use(step.key for step in steps)
            with partial_report(job, steps, leads=leads):
                if parent:
                    make_in_ranks(job, steps)
                # In a distributed job, the ranks tell of what they make, and their parent of what was there.
                made = execute(job, steps, lambda artifact: artifact.reused if parent else leads or not artifact.reused)
                if rank:
                    ranks.leave()
                if not leads:
                    return None
                settings = yaml.safe_dump(dict(job.settings), sort_keys=False, allow_unicode=True)
                write_text(job.run_dir / "config.yaml", settings)
                if "report" not in job.phases:
                    return Finished(job, made)
                results, verdict = report(job, steps, made)
                log_results(loggers, results, verdict, made, job.run_dir)
                return Finished(job, made, results, verdict)


@contextmanager
def _on_record(job: Job) -> Iterator[None]:
    """The job in the store's list of users, for as long as it lives; and its run.json."""
    content = {"command": job.command, "started": time.strftime(TIME), "finished": None}
    try:
        write_json(job.run_dir / RUN, content)
    except StoreError as error:
        raise ConfigError("The run's folder can't be written", where="hydra.run.dir", got=error.got) from error
    try:
        with Registration(job.store.root, job.run_dir, job.command) as job.store.registration:
            yield
    except BaseException as error:
        with suppress(StoreError):
            write_json(job.run_dir / RUN, content | {"ended": _ended_by(error)})
        raise
    write_json(job.run_dir / RUN, content | {"finished": time.strftime(TIME)})


def _ended_by(error: BaseException) -> str:
    """What ended a job, in one word: a signal or the name of an error."""
    if isinstance(error, Preempted):
        return error.signal
    return "SIGINT" if interrupted(error) else type(error).__name__
