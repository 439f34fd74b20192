"""A job as objects, and what it says at its end.

Torch, Lightning and transformers come with this module, so the way in imports it late, and in one place.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scd_lightning.analysis.records import read_config
from scd_lightning.analysis.run.run_table import run_line, run_table
from scd_lightning.cli import search
from scd_lightning.cli.ask_line import ask_line
from scd_lightning.cli.endings import in_sweep, runs_beside_others
from scd_lightning.cli.overrides import chosen, job_command, rank_command
from scd_lightning.cli.quiet import quiet
from scd_lightning.cli.session import session
from scd_lightning.cli.smoke import tell_full_costs, trial
from scd_lightning.config.build import build_parts
from scd_lightning.launch import ranks
from scd_lightning.launch.own_gpus import take_gpus
from scd_lightning.loggers.makers import check_makers
from scd_lightning.pipeline.job import Job
from scd_lightning.pipeline.run import Finished
from scd_lightning.progress import prefix, say, show
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.store.artifacts import ArtifactStore
from scd_lightning.training.callbacks import own_callbacks
from scd_lightning.training.trainer import count_gpus, runs_on_gpu


def build_job(settings: Mapping[str, Any], run_dir: Path) -> Job:
    """Calls the constructors that the configuration names.

    Args:
        settings: As `read_settings` gives them.
        run_dir: The run's folder.

    Raises:
        ScdError: A value is refused by the object that it is for.
    """
    parts = build_parts(settings)
    evaluation, loggers, callbacks = (parts.pop(name) for name in ("evaluate", "logger", "callbacks"))
    check_makers(loggers)
    # One that another file has brought in is left out by null.
    callbacks = {name: make for name, make in callbacks.items() if make is not None}
    own_callbacks.check_makers(callbacks)
    store = Path(settings["paths"]["store"]).absolute()
    return Job(
        **parts,
        evaluation=evaluation,
        loggers=list(loggers.values()),
        callbacks=list(callbacks.values()),
        seed=settings["seed"],
        phases=settings["phases"],
        store=ArtifactStore(store, run=str(run_dir), locking=not ranks.has_parent(), granted=ranks.to_make()),
        run_dir=run_dir,
        folder=RunFolder(run_dir),
        settings=settings,
    )


def rebuild_job(run: Path) -> Job:
    """The job of a run from its folder, where it is not to run again, but what it has made is asked for.

    Args:
        run: The folder, with its config.yaml.

    Raises:
        ScdError: As `build_job`; the file can't be read.
    """
    quiet()
    settings = read_config(run)
    return build_job(settings | {"logger": {}, "trainer": _anywhere(settings.get("trainer", {}))}, run)


def _anywhere(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """A trainer's settings for a machine that may lack the GPUs that it trained on."""
    needs_gpu = trainer.get("accelerator") in ("gpu", "cuda")
    return {**trainer, "accelerator": "auto"} if needs_gpu and not runs_on_gpu(trainer) else {**trainer}


def build_running_job(settings: Mapping[str, Any], folder: RunFolder) -> Job:
    """The job that Hydra has handed over, with its command line; from here on the libraries keep quiet.

    Args:
        settings: As `read_settings` gives them.
        folder: The run's.

    Raises:
        ScdError: As `build_job`.
    """
    trainer = settings["trainer"]
    if runs_beside_others() and ranks.leads() and trainer.get("accelerator") != "cpu":
        assert session.sweep is not None
        take_gpus(session.sweep.folder, trainer["devices"], count_gpus())
    job = build_job(settled_dtypes(settings), folder.path)
    ranks_run = rank_command(folder.path)
    job = replace(job, folder=folder, command=job_command(), rank_command=ranks_run, swept=in_sweep())
    quiet()
    return trial(job) if chosen("debug") == "smoke" else job


def settled_dtypes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the dtype of frozen weights as it is here, so that they mean the same on a machine without a GPU.

    Args:
        settings: As `read_settings` gives them.
    """
    dtype = {"dtype": "bfloat16" if runs_on_gpu(settings["trainer"]) else "float32"}
    models = {role: settings[role] for role in ("teacher", "student")}
    frozen = {
        role: model | dtype
        for role, model in models.items()
        if model.get("dtype") == "auto" and (model.get("lora") or {}).get("r")
    }
    return {**settings, **frozen}


def tell(finished: Finished) -> None:
    """Says what a job has found and where it lies; of one of a search, notes what it reached."""
    job, results = finished.job, finished.results
    if search.is_search():
        search.record(job.run_dir, job.data.validation_metric, finished.made)
    if results is None:
        return
    page = job.run_dir / "report.html"
    if prefix():
        # Tables of jobs side by side would be torn apart by one another's lines.
        say(f"finished: {run_line(results)}; report: {page}")
    else:
        show(run_table(results, finished.verdict))
        say(f"report: {page}")
        say(f"student: {job.run_dir / 'student'}")
        # Of a sweep's students, its end names the one to ask.
        if not in_sweep() and (asking := ask_line(job.run_dir)) is not None:
            say(f"ask it: {asking}")
    if chosen("debug") == "smoke":
        tell_full_costs(job)
