"""From a composed configuration to a finished job, and to what its end means for this process."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from scd_lightning.cli import default_models, search
from scd_lightning.cli.clean_output import clean_output
from scd_lightning.cli.endings import ended, in_sweep, noted, signals_first
from scd_lightning.cli.folders import first_texts
from scd_lightning.cli.hydra_secrets import keep_secrets, learn_settings
from scd_lightning.cli.overrides import job_command, job_title, written
from scd_lightning.cli.places import check_places
from scd_lightning.cli.reading import as_written, read_more
from scd_lightning.cli.session import session
from scd_lightning.config.build import check_light_parts, read_settings
from scd_lightning.launch import preemption, ranks
from scd_lightning.launch.lost_readers import outlive_readers
from scd_lightning.progress import prefix, say
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.run_folder.inputs import check_inputs
from scd_lightning.run_folder.names import FILES, STUDENT
from scd_lightning.store.disk import explained

# At import: a launcher's process composes its job, and only then calls `run_job`.
read_more()
keep_secrets()


def run_job(cfg: DictConfig) -> float | None:
    """Runs one job. A mistake in its input is printed as a paragraph and recorded; a sweep goes on with its next job.

    Args:
        cfg: The composed configuration.

    Returns:
        What Hydra's sweeper is to make as high as it can: of a job of a search its validation metric, else None.
    """
    if session.stopped:
        return None
    outlive_readers()  # A launcher's process has not come by `main`.
    clean_output()
    folder = _folder(cfg)
    with closing(folder), ended(folder):
        _run(cfg, folder)
    return search.objective(folder) if search.is_search() else None


def run_alone(cfg: DictConfig) -> Path:
    """Runs one job for a program, which gets its errors, and has its own ways with output.

    Args:
        cfg: The composed configuration.

    Returns:
        The run's folder.

    Raises:
        ScdError: A mistake in its input; it is recorded in the folder.
    """
    folder = _folder(cfg)
    with closing(folder), noted(folder):
        _run(cfg, folder)
    return folder.path


def _folder(cfg: DictConfig) -> RunFolder:
    session.started = True
    hydra = HydraConfig.get()
    learn_settings(cfg)  # In every process alike: they tell a run's folder by its command as it is written down.
    sweep = replace(session.sweep, job=hydra.job.num) if session.sweep is not None and in_sweep() else None
    texts = first_texts(cfg) if ranks.leads() else {}
    return RunFolder(Path(hydra.runtime.output_dir), job_command(), texts, sweep)


def _run(cfg: DictConfig, folder: RunFolder) -> None:
    if ranks.leads():
        folder.open()
    given = as_written(written(HydraConfig.get().overrides.task))
    settings = read_settings(_settle(cfg), given)
    parts = check_light_parts(settings)
    if ranks.leads():
        check_inputs(settings, folder.path, (*FILES, STUDENT))
        check_places(parts, Path(settings["paths"]["store"]))
    # Torch, Lightning and transformers are loaded here: what is wrong with names and numbers was said before.
    from scd_lightning.cli.built_job import build_running_job, tell
    from scd_lightning.pipeline.run import run

    job = build_running_job(settings, folder)
    folders = {"the run's folder": folder.path, "the store": job.store.root}
    with preemption.watch(job.resume.signals, job.resume.exit_code), explained(folders), signals_first():
        if ranks.leads() and search.is_search():
            search.check_phases(job.phases)
        finished = run(job)
        folder.finish()
        if finished is not None:
            tell(finished)


def _settle(cfg: DictConfig) -> DictConfig:
    """The configuration with its models, said where they are not those that anyone would expect."""
    if ranks.leads() and in_sweep():
        say(job_title().removeprefix(prefix()))  # What every line of jobs side by side begins with.
    settled, said = default_models.settle_models(cfg, written(HydraConfig.get().overrides.task))
    if ranks.leads() and said:
        say(said)
    return settled
