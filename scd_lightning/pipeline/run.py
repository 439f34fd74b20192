"""A job from its input to its report, in the one process, or in each of several."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import yaml

from scd_lightning import distributed
from scd_lightning.errors import ConfigError, Preempted, StoreError, interrupted
from scd_lightning.launch import ranks
from scd_lightning.loggers.job_loggers import JobLoggers
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.logs import job_info, log_results
from scd_lightning.pipeline.model_checks import warn_of_models
from scd_lightning.pipeline.prepare import prepare, record_rejected, tell_of_data, tell_of_texts
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import Artifacts, execute, plan
from scd_lightning.pipeline.supervision import make_in_ranks
from scd_lightning.pipeline.unfinished import partial_report
from scd_lightning.redaction.cleaning import clean, remarks
from scd_lightning.store.manifest import write_json, write_text
from scd_lightning.store.registry import TIME, Registration

# The command line of a job, when it started and finished, or what ended it.
RUN = "run.json"


@dataclass(frozen=True)
class Finished:
    """What a job has made.

    Attributes:
        job: The job.
        made: Its artifacts.
        results: The content of results.json; None where no report was asked for.
        verdict: The run in a sentence.
    """

    job: PreparedJob
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
    leads, rank = ranks.leads(), ranks.is_rank()
    job.trainer.check_devices(launched=rank)
    if rank:
        distributed.join(on_gpu=job.trainer.on_gpu)
    parent = job.trainer.devices > 1 and not rank
    with _on_record(job) if leads else nullcontext():
        prepared = prepare(job)
        if leads:
            record_rejected(prepared)
            tell_of_data(prepared)
            tell_of_texts(prepared)
            warn_of_models(prepared)
        with JobLoggers(prepared.loggers).open(job_info(prepared, leads=leads)) as loggers:
            steps = [step for step in plan(prepared) if step.key.folder not in ranks.left_out()]
            prepared.store.use(step.key for step in steps)
            with partial_report(prepared, steps, leads=leads):
                if parent:
                    make_in_ranks(prepared, steps)
                made = execute(prepared, steps, parent=parent)
                if rank:
                    distributed.leave()
                if not leads:
                    return None
                _write_settings(prepared)
                if "report" not in prepared.phases:
                    return Finished(prepared, made)
                results, verdict = report(prepared, steps, made)
                log_results(loggers, results, verdict, made, prepared.run_dir)
                return Finished(prepared, made, results, verdict)


def _write_settings(job: Job) -> None:
    before = dict(job.settings)
    after = clean(before)
    text = remarks(before, after) + yaml.safe_dump(after, sort_keys=False, allow_unicode=True)
    write_text(job.run_dir / "config.yaml", text)


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
            signal = error.signal if isinstance(error, Preempted) else "SIGINT" if interrupted(error) else None
            write_json(job.run_dir / RUN, content | {"ended": signal or type(error).__name__})
        raise
    write_json(job.run_dir / RUN, content | {"finished": time.strftime(TIME)})
