"""W&B: one run for each job, however many processes and trainings it has; offline wherever online can't be had."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.config.pasting import command_of
from scd_lightning.loggers.job_loggers import JobInfo, JobLogger, PhaseLogger, Row
from scd_lightning.loggers.wandb_identity import Identity, end, identify, read_identity
from scd_lightning.loggers.wandb_switches import DISABLED, FINISH_SECONDS, PROJECT, START_SECONDS, Switches
from scd_lightning.progress import say
from scd_lightning.redaction.cleaning import clean

# What an agent of a W&B sweep sets for the one run that it waits for, and others for a run that goes on.
_OF_ONE_RUN = ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_RESUME_FROM", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")


class WandbLogger(JobLogger):
    """Starts the job's run with the first thing logged. Whatever goes wrong with W&B never ends a job.

    Args:
        save_dir: This and all others as in `Switches`.
        project: Likewise.
        entity: Likewise.
        group: Likewise.
        tags: Likewise.
        mode: Likewise.
        start_timeout: Likewise.
        finish_timeout: Likewise.

    Raises:
        ConfigError: W&B can't use one of them, or one of its own variables.
    """

    def __init__(
        self,
        save_dir: str,
        project: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        mode: str = "auto",
        start_timeout: float | None = None,
        finish_timeout: float | None = None,
    ) -> None:
        self._switches = Switches(save_dir, project, entity, group, tags, mode, start_timeout, finish_timeout)
        self._record = Path(save_dir)
        self._folder = self._switches.folder
        self._info: JobInfo | None = None
        self._identity: Identity | None = None
        self._run: wandb.Run | None = None
        self._given_up = False
        self._axes: set[str] = set()

    @property
    def id(self) -> str | None:
        """That of the job's run; None before there is a job, or without W&B."""
        return None if self._identity is None else self._identity.id

    @override
    def __call__(self, name: str) -> "WandbPhase":
        return WandbPhase(self, name)

    @override
    def begin(self, info: JobInfo) -> None:
        self._info, self._run, self._identity = info, None, None
        self._given_up = self._switches.mode == DISABLED
        self._axes.clear()
        if self._given_up:
            return
        # The job's further processes log to the same run.
        if not info.leads:
            self._identity = read_identity(self._record)
        if self._identity is None and distributed.rank() == 0:
            self._identity = identify(self._record, info, self._switches)

    def goes_on(self, phase: str) -> None:
        """Says where a phase goes on whose first part is in another run."""
        if distributed.rank() == 0 and self._identity is not None and not self._identity.goes_on:
            say(f"W&B: the first part of {phase} is in the run of the job that was stopped; this is another")

    def log(self, phase: str, values: Mapping[str, Any], step: int | None) -> None:
        """Logs a row of a phase. Rows that hold a `stage` of the distillation are drawn over it, the others over step.

        Each phase has a step of its own: W&B's would go on from training to training.
        """
        over = "stage" if "stage" in values else "step"
        row = {f"{phase}/{name}": value for name, value in values.items()}
        row[f"{phase}/step"] = step

        def write(run: wandb.Run) -> None:
            self._define_axes(run, phase, row, f"{phase}/{over}")
            run.log(row)

        self._guarded(write)

    @override
    def results(self, values: Mapping[str, float], verdict: str) -> None:
        # The summary is where W&B's tables and sweeps look for values.
        self._guarded(lambda run: run.summary.update({**values, "verdict": verdict}))

    @override
    def table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        def write(run: wandb.Run) -> None:
            with _staged_in(self._folder / "wandb"):
                run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

        self._guarded(write)

    @override
    def finish(self, *, failed: bool) -> None:
        leads = self._info is not None and self._info.leads and self._identity is not None
        if failed and leads and self._segments("*run-*-"):
            # A process that was killed could not say so: its run is opened again, to be marked.
            self._guarded(lambda run: None)
        run, self._run = self._run, None
        if run is not None:
            try:
                run.finish(exit_code=int(failed))
            except Exception as error:
                say(f"W&B may not have everything: {_first_line(error)}")
                say(f"to upload it later: {_sync([run.settings.sync_dir])}")
        if leads and not failed:
            end(self._record)
        if leads and (folders := self._segments("offline-run-*-")):
            say(f"to upload the offline run to W&B: {_sync(folders)}")

    def _segments(self, prefix: str) -> list[Path]:
        """Folders of this run, one for each process that logged; two of the same second differ by a number."""
        return sorted((self._folder / "wandb").glob(f"{prefix}{self.id}*"))

    def _guarded(self, write: Callable[[wandb.Run], None]) -> None:
        if self._given_up or distributed.rank() != 0:
            return
        try:
            if self._run is None:
                self._run = self._start()
            write(self._run)
        except Exception as error:  # Anything at all: hours of training are worth more than their log.
            self._given_up = True
            say(f"W&B fails, so this job goes on without it: {_first_line(error)}")

    def _start(self) -> wandb.Run:
        assert self._identity is not None
        with _without(("WANDB_RESUME",) if self._identity.alone else _OF_ONE_RUN):
            try:
                if mode := self._online_mode():
                    run = self._init(mode)
                    say(f"W&B: {run.url}")
                    return run
            except Exception as error:
                say(f"W&B is offline for this run: {_first_line(error)}")
                # The failed start still holds the run's id.
                wandb.teardown()
            return self._init("offline")

    def _online_mode(self) -> str | None:
        """How to be online; None for offline."""
        mode = self._switches.mode
        if mode == "offline":
            return None
        # Without prompt=False it would stop a job to ask for a key.
        if not wandb.login(prompt=False, verify=False):
            if mode == "auto":
                return None
            raise RuntimeError("there is no key (WANDB_API_KEY, or `wandb login`)")
        return "online" if mode == "auto" else mode

    def _init(self, mode: str) -> wandb.Run:
        info, identity, switches = self._info, self._identity, self._switches
        assert info is not None
        assert identity is not None
        settings = wandb.Settings(
            silent=True,
            # What it would collect by itself: the command line and the terminal may hold secrets and paths.
            console="off",
            x_disable_meta=True,
            disable_git=True,
            disable_code=True,
            x_save_requirements=False,
            init_timeout=_first(switches.start_timeout, switches.told("init_timeout"), START_SECONDS),
            finish_timeout=_first(switches.finish_timeout, switches.told("finish_timeout"), FINISH_SECONDS),
            finish_timeout_raises=True,
        )
        names = {
            "project": _first(switches.project, switches.told("project"), PROJECT),
            "entity": switches.entity,
            "name": identity.name,
            "notes": switches.told("run_notes"),
            "group": _first(switches.group, switches.told("run_group"), info.group)[:128],
            "job_type": _first(switches.told("run_job_type"), info.method),
            "tags": list(switches.tags or switches.told("run_tags") or ()),
        }
        return wandb.init(
            **clean(names),
            dir=self._folder,
            id=identity.id,
            # An offline run is on no server yet, so there is nothing to resume: each process writes a segment of it.
            resume=None if mode == "offline" else identity.resume,  # type: ignore[arg-type]
            config=dict(info.settings),
            mode=mode,  # type: ignore[arg-type]
            settings=settings,
        )

    def _define_axes(self, run: wandb.Run, phase: str, names: Mapping[str, Any], axis: str) -> None:
        if phase not in self._axes:
            run.define_metric(f"{phase}/step")
            run.define_metric(f"{phase}/*", step_metric=f"{phase}/step")
        if axis == f"{phase}/stage":
            for name in set(names) - self._axes - {axis, f"{phase}/step"}:
                run.define_metric(name, step_metric=axis)
                self._axes.add(name)
        self._axes.add(phase)


class WandbPhase(PhaseLogger):
    """One phase within the job's run.

    Args:
        job: The job's logger.
        phase: Name of the phase.
    """

    def __init__(self, job: WandbLogger, phase: str) -> None:
        super().__init__()
        self._job, self._phase = job, phase

    @property
    @override
    def name(self) -> str:
        return self._phase

    @property
    @override
    def version(self) -> str | None:
        return self._job.id

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._job.log(self._phase, metrics, step)

    @override
    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass  # The run has the whole job's settings.

    @override
    def goes_on(self) -> None:
        self._job.goes_on(self._phase)

    @override
    @rank_zero_only
    def log_histogram(self, name: str, counts: Sequence[int], step: int) -> None:
        edges = np.linspace(0, 1, len(counts) + 1)
        self._job.log(self._phase, {name: wandb.Histogram(np_histogram=(np.asarray(counts), edges))}, step)


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Keeps what W&B stages for upload with the run; in the user's home it would stay for ever."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    """Hides variables from W&B, which reads them when it is first used."""
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _first(*values: Any) -> Any:
    """The first that is there."""
    return next(value for value in values if value is not None)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _sync(folders: Sequence[Path | str]) -> str:
    return command_of(["wandb", "sync", *map(str, folders)])
