"""From a composed configuration to a finished job, and to what its end means for this process."""

from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from scd_lightning.cli import default_models, search
from scd_lightning.cli.endings import ended, in_sweep, signals_first
from scd_lightning.cli.overrides import chosen, job_command, job_title, rank_command, written
from scd_lightning.cli.session import session
from scd_lightning.config.build import build_parts, check_light_parts, read_settings
from scd_lightning.launch import preemption, ranks
from scd_lightning.progress import prefix, say, show
from scd_lightning.store.disk import explained

if TYPE_CHECKING:
    from scd_lightning.pipeline.job import Job
    from scd_lightning.pipeline.run import Finished


def run_job(cfg: DictConfig) -> float | None:
    """Runs one job. A mistake in its input is printed as a paragraph and recorded; a sweep goes on with its next job.

    Args:
        cfg: The composed configuration.

    Returns:
        What Hydra's sweeper is to make as high as it can: of a job of a search its validation metric, else None.
    """
    if session.stopped:
        return None
    session.started = True
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    with ended(run_dir):
        job = build_job(_settle(cfg), run_dir, command=job_command(), rank_command=rank_command(run_dir))
        # Torch, Lightning and transformers are loaded here: what is wrong with names and numbers was said before.
        from scd_lightning.cli.quiet import quiet
        from scd_lightning.cli.smoke import timed
        from scd_lightning.pipeline.run import run

        quiet()
        folders = {"the run's folder": run_dir, "the store": job.store.root}
        with preemption.watch(job.resume.signals, job.resume.exit_code), explained(folders), signals_first():
            if ranks.leads() and search.is_search():
                search.begin(job)
            finished = run(timed(job) if chosen("debug") == "smoke" else job)
            if finished is not None:
                _tell(finished)
    return search.objective(run_dir) if search.is_search() else None


def _settle(cfg: DictConfig) -> DictConfig:
    """The configuration with its models, said where they are not those that anyone would expect."""
    if ranks.leads() and in_sweep():
        say(job_title().removeprefix(prefix()))  # What every line of jobs side by side begins with.
    settled = default_models.settle_models(cfg, written(HydraConfig.get().overrides.task))
    if ranks.leads() and settled is not cfg:
        say(default_models.FROM_SCRATCH)
    return settled


def build_job(cfg: DictConfig, run_dir: Path, *, command: str = "", rank_command: list[str] | None = None) -> "Job":
    """Calls the constructors that the configuration names.

    Args:
        cfg: The composed configuration.
        run_dir: The run's folder.
        command: See `Job`.
        rank_command: Likewise.

    Raises:
        ScdError: A value is refused by the object that it is for.
    """
    settings = read_settings(cfg)
    check_light_parts(settings)
    parts = build_parts(settings)
    from scd_lightning.pipeline.job import Job
    from scd_lightning.store.artifacts import ArtifactStore

    store = Path(settings["paths"]["store"]).absolute()
    return Job(
        task=parts["task"],
        teacher=parts["teacher"],
        student=parts["student"],
        anchor=parts["anchor"],
        method=parts["method"],
        objective=parts["objective"],
        budget=parts["budget"],
        evaluation=parts["evaluate"],
        trainer=parts["trainer"],
        loggers=list(parts["logger"].values()),
        callbacks=list(parts["callbacks"].values()),
        resume=parts["resume"],
        seed=settings["seed"],
        phases=settings["phases"],
        store=ArtifactStore(store, run=str(run_dir), locking=not ranks.has_parent()),
        run_dir=run_dir,
        settings=settings,
        command=command,
        rank_command=rank_command or [],
    )


def _tell(finished: "Finished") -> None:
    from scd_lightning.analysis.run.run_table import run_line, run_table
    from scd_lightning.cli.smoke import tell_full_costs

    run_dir = finished.job.run_dir
    if search.is_search():
        search.record(finished)
    if finished.results is None:
        return
    if prefix():
        # Tables of jobs side by side would be torn apart by one another's lines.
        say(f"finished: {run_line(finished.results)}; report: {run_dir / 'report.html'}")
    else:
        show(run_table(finished.results, finished.verdict))
        say(f"report: {run_dir / 'report.html'}")
        say(f"student: {run_dir / 'student'}")
    if chosen("debug") == "smoke":
        tell_full_costs(finished.job)
