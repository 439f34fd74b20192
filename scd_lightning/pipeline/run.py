"""A job from its input to its report, in the one process, or in each of several."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import yaml
from lightning.pytorch.utilities import rank_zero_only

from scd_lightning import distributed
from scd_lightning.launch import network, ranks
from scd_lightning.launch.consensus import outline
from scd_lightning.loggers.job_loggers import JobLoggers
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.logs import job_info, log_results
from scd_lightning.pipeline.model_checks import warn_of_models
from scd_lightning.pipeline.phase_lines import models_line
from scd_lightning.pipeline.prepare import prepare, record_rejected, tell_of_data, tell_of_texts
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import Artifacts, Step, agree, check_left_out, collect, execute, plan
from scd_lightning.pipeline.supervision import make_in_ranks
from scd_lightning.pipeline.unfinished import partial_report
from scd_lightning.pipeline.vocabulary import tell_of_vocabulary
from scd_lightning.progress import say
from scd_lightning.redaction.cleaning import clean, remarks
from scd_lightning.store.manifest import sha256_json, write_text
from scd_lightning.store.registry import Registration


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
        network.choose_interface()
        distributed.join(on_gpu=job.trainer.on_gpu, minutes=job.trainer.wait_minutes)
    else:
        # Lightning takes a task of SLURM's for one process of several: as such it would log nothing.
        vars(rank_zero_only)["rank"] = 0
    parent = job.trainer.devices > 1 and not rank
    with Registration(job.store.root, job.run_dir, job.command) if leads else nullcontext() as registration:
        job.store.registration = registration
        _agree_on_settings(job)
        prepared = prepare(job)
        every = plan(prepared)
        agree(prepared, every)
        steps = [step for step in every if step.key.folder not in ranks.left_out()]
        if leads:
            check_left_out(prepared, steps)
            prepared.folder.take(_identity(prepared, steps), prepared.settings)
            if registration is not None:
                registration.supersede()
            _tell_of_input(prepared)
        with JobLoggers(prepared.loggers).open(job_info(prepared, leads=leads)) as loggers:
            prepared.store.use(step.key for step in steps)
            with partial_report(prepared, steps, leads=leads):
                if parent:
                    make_in_ranks(prepared, steps)
                made = collect(prepared, steps) if parent else execute(prepared, steps)
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


def _tell_of_input(job: PreparedJob) -> None:
    say(models_line(job))
    record_rejected(job)
    tell_of_data(job)
    tell_of_texts(job)
    tell_of_vocabulary(job)
    warn_of_models(job)


def _write_settings(job: Job) -> None:
    before = dict(job.settings)
    after = clean(before)
    text = remarks(before, after) + yaml.safe_dump(after, sort_keys=False, allow_unicode=True)
    write_text(job.run_dir / "config.yaml", text)


def _agree_on_settings(job: Job) -> None:
    """Of what no artifact depends on, all that has the processes wait for one another."""
    parts = {name: job.settings[name] for name in ("phases", "seed", "resume", "budget", "method", "evaluate")}
    trainer = {name: value for name, value in job.settings["trainer"].items() if name != "default_root_dir"}
    job.agreement.require("settings", outline(parts | {"trainer": trainer}), "the configuration")


def _identity(job: PreparedJob, steps: Sequence[Step]) -> str:
    """Digest of all that what a run leaves in its folder depends on, wherever that is."""
    settings = repr(job.settings).replace(str(job.run_dir), "paths.run")
    return sha256_json([settings, [step.key.folder for step in steps]])
