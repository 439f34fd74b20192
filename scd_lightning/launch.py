"""From a composed configuration to a finished job: in this process, or in one process for each device."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from scd_lightning import default_models, preemption, ranks, search, smoke
from scd_lightning.errors import ConfigError, StoreError, interrupted

if TYPE_CHECKING:
    from scd_lightning.loggers.base import JobLoggers
    from scd_lightning.pipeline.job import Job
    from scd_lightning.pipeline.runner import Step

# The command line of a job, when it started and finished, or what ended it.
RUN = "run.json"

# The process's exit code, set by `launch` and by `sweeps.SweepComparison`: Hydra itself knows success and 1 only.
exit_code = 0
# Whether a job got as far as `launch`: what goes wrong before is Hydra's, such as a folder that it can't make.
started = False
# Whether a signal has ended a job of this process, which joblib would give others.
stopped = False
# Set while a sweep is running: tells what its jobs found where the launcher breaks off, and whether that was all.
conclude_sweep: Callable[[Exception], bool] | None = None


def launch(cfg: DictConfig) -> float | None:
    """Runs one job. A mistake in its input is printed as a paragraph and recorded; a sweep goes on with its next job.

    Args:
        cfg: The composed configuration.

    Returns:
        What Hydra's sweeper is to make as high as it can: of a job of a search its validation metric, else None.
    """
    global started, stopped
    started = True
    if stopped:
        return None
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    if ranks.tells():
        _forget_failures(run_dir)
    try:
        _run(cfg, run_dir)
    except BaseException as error:
        from scd_lightning import endings

        if ranks.is_rank():
            endings.end_as_rank(run_dir, error)
        if _side_by_side() and (isinstance(error, preemption.Preempted) or interrupted(error)):
            # Joblib would kill the other jobs, which are saving; the sweep's own process knows of the signal.
            stopped = True
            return None
        if isinstance(error, Exception):
            endings.note(run_dir, error)
        # A defect shows its traceback; a sweep goes on after it, as after any error.
        if not isinstance(error, Exception) or not (_in_sweep() or endings.is_told(error)):
            raise
        set_exit_code(endings.tell(error))
    return search.objective(run_dir) if search.is_search() else None


def _forget_failures(run_dir: Path) -> None:
    from scd_lightning.rank_failures import forget

    (run_dir / ranks.FAILURE).unlink(missing_ok=True)
    forget(run_dir)


def set_exit_code(code: int) -> None:
    """Sets what the process ends with."""
    global exit_code
    exit_code = code


def _in_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _side_by_side() -> bool:
    return _in_sweep() and "joblib" in HydraConfig.get().launcher._target_


def _run(cfg: DictConfig, run_dir: Path) -> None:
    from scd_lightning import endings
    from scd_lightning.command_line import job_title, written
    from scd_lightning.config import build_job
    from scd_lightning.progress import console, say
    from scd_lightning.quiet import quiet
    from scd_lightning.store.disk import explained

    quiet()
    leads = ranks.tells()
    if leads and _in_sweep():
        console.print(job_title(), soft_wrap=True)
    given, cfg = cfg, default_models.settle_models(cfg, written(HydraConfig.get().overrides.task))
    if leads and cfg is not given:
        say(default_models.FROM_SCRATCH)
    rank = ranks.is_rank()
    job = build_job(cfg, run_dir, locking=not ranks.has_parent())
    watch = preemption.watch(job.resume.signals, job.resume.exit_code)
    with watch, explained({"the run's folder": run_dir, "the store": job.store.root}), endings.signals_first():
        _run_job(cfg, job, rank=rank, leads=leads)


def _run_job(cfg: DictConfig, job: "Job", *, rank: bool, leads: bool) -> None:
    from scd_lightning.loggers.base import JobLoggers
    from scd_lightning.pipeline.logs import job_info
    from scd_lightning.pipeline.prepare import prepare, record_rejected

    job.trainer.check_devices(launched=rank)
    if rank:
        ranks.join(job)
    if leads and search.is_search():
        search.begin(job)
    if smoke.is_smoke():
        smoke.time_steps(job)
    with _on_record(job) if leads else nullcontext():
        prepare(job)
        if leads:
            record_rejected(job)
        with JobLoggers(job.loggers).open(job_info(job, leads=leads)) as loggers:
            _run_stages(cfg, job, loggers, rank=rank, leads=leads)


@contextmanager
def _on_record(job: "Job") -> Iterator[None]:
    """The job in the store's list of users, for as long as it lives; and its run.json."""
    from scd_lightning.checkpoints.manifest import write_json
    from scd_lightning.command_line import job_command
    from scd_lightning.endings import ended_by
    from scd_lightning.store.registry import TIME, Registration

    command = job_command()
    content = {"command": command, "started": time.strftime(TIME), "finished": None}
    try:
        write_json(job.run_dir / RUN, content)
    except StoreError as error:
        raise ConfigError("The run's folder can't be written", where="hydra.run.dir", got=error.got) from error
    try:
        with Registration(job.store.root, job.run_dir, command) as job.store.registration:
            yield
    except BaseException as error:
        with suppress(StoreError):
            write_json(job.run_dir / RUN, content | {"ended": ended_by(error)})
        raise
    write_json(job.run_dir / RUN, content | {"finished": time.strftime(TIME)})


def _run_stages(cfg: DictConfig, job: "Job", loggers: "JobLoggers", *, rank: bool, leads: bool) -> None:
    from scd_lightning.pipeline.partial_report import partial_report
    from scd_lightning.pipeline.runner import plan

    steps = [step for step in plan(job) if step.key.folder not in ranks.left_out()]
    job.store.use(step.key for step in steps)
    with partial_report(job, steps, leads=leads):
        _make(cfg, job, steps, loggers, rank=rank, leads=leads)


def _make(cfg: DictConfig, job: "Job", steps: "list[Step]", loggers: "JobLoggers", *, rank: bool, leads: bool) -> None:
    from scd_lightning.pipeline.logs import log_results
    from scd_lightning.pipeline.report import report
    from scd_lightning.pipeline.runner import execute

    parent = job.trainer.devices > 1 and not rank
    if parent:
        ranks.run(job, steps)
    # In a distributed job, the ranks tell of what they make, and their parent of what was there.
    made = execute(job, steps, lambda artifact: artifact.reused if parent else leads or not artifact.reused)
    if rank:
        ranks.leave()
    if not leads:
        return
    if search.is_search():
        search.record(job, made)
    OmegaConf.save(cfg, job.run_dir / "config.yaml", resolve=True)
    if "report" in job.stages:
        results, verdict = report(job, steps, made)
        log_results(loggers, results, verdict, made, job.run_dir)
        _show(results, verdict, job.run_dir)
        if smoke.is_smoke():
            smoke.tell_full_costs(job)


def _show(results: dict[str, Any], verdict: str, run_dir: Path) -> None:
    from scd_lightning.analysis.summary import run_line, run_table
    from scd_lightning.progress import console, prefix, say

    if prefix():
        # Tables of jobs side by side would be torn apart by one another's lines.
        say(f"finished: {run_line(results)}; report: {run_dir / 'report.html'}")
        return
    console.print(run_table(results, verdict))
    say(f"report: {run_dir / 'report.html'}")
    say(f"student: {run_dir / 'student'}")
