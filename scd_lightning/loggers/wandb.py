"""W&B: one run for each job, however many processes and trainings it has; offline wherever online can't be had."""

import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.config.checks import require_one_of
from scd_lightning.loggers.job_loggers import JobInfo, JobLogger, PhaseLogger, Row
from scd_lightning.progress import say


class WandbLogger(JobLogger):
    """Starts the job's run with the first thing logged. Whatever goes wrong with W&B never ends a job.

    Args:
        save_dir: The run's folder; W&B's files go to `wandb` in it.
        project: W&B project.
        entity: W&B user or team; None for the default one.
        group: What to group the run by; None for the data set with teacher and student.
        tags: Tags of the run.
        mode: "online", "offline", or "auto": online where there is a key. WANDB_MODE wins.
        start_timeout: Seconds after which a server that does not answer is given up, for offline.
        finish_timeout: Seconds that the end of the job waits for the last upload.
    """

    def __init__(
        self,
        save_dir: str,
        project: str,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        mode: str = "auto",
        start_timeout: float = 20,
        finish_timeout: float = 60,
    ) -> None:
        what = "There is no such mode of W&B"
        require_one_of(("auto", "online", "offline"), what=what, **{"logger.wandb.mode": mode})
        self.save_dir, self.project, self.entity = Path(save_dir), project, entity
        self.group, self.tags, self.mode = group, list(tags), mode
        self.start_timeout, self.finish_timeout = start_timeout, finish_timeout
        self.id: str | None = None
        self._info: JobInfo | None = None
        self._run: wandb.Run | None = None
        self._given_up = False
        self._axes: set[str] = set()

    @override
    def __call__(self, name: str) -> "WandbPhase":
        return WandbPhase(self, name)

    @override
    def begin(self, info: JobInfo) -> None:
        self._info, self._run, self._given_up = info, None, False
        self._axes.clear()
        # The job's further processes read the id: they log to the same run.
        file = self.save_dir / "wandb" / "run-id.txt"
        if not info.leads and file.is_file():
            self.id = file.read_text(encoding="utf-8")
        elif distributed.rank() == 0:
            # An agent of a W&B sweep waits for the run that it named itself.
            self.id = os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.id, encoding="utf-8")

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
            with _staged_in(self.save_dir / "wandb"):
                run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

        self._guarded(write)

    @override
    def finish(self, *, failed: bool) -> None:
        leads = self._info is not None and self._info.leads
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
        if leads and (folders := self._segments("offline-run-*-")):
            say(f"to upload the offline run to W&B: {_sync(folders)}")

    def _segments(self, prefix: str) -> list[Path]:
        """Folders of this run, one for each process that logged; two of the same second differ by a number."""
        return sorted((self.save_dir / "wandb").glob(f"{prefix}{self.id}*"))

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
        try:
            if self._wants_online():
                run = self._init("online")
                say(f"W&B: {run.url}")
                return run
        except Exception as error:
            say(f"W&B is offline for this run: {_first_line(error)}")
            # The failed start still holds the run's id.
            wandb.teardown()
        return self._init("offline")

    def _wants_online(self) -> bool:
        mode = os.environ.get("WANDB_MODE") or self.mode
        if mode == "auto":
            # Without prompt=False it would stop a job to ask for a key.
            return wandb.login(prompt=False, verify=False)
        if mode == "online" and not wandb.login(prompt=False, verify=False):
            raise RuntimeError("there is no key (WANDB_API_KEY, or `wandb login`)")
        return mode == "online"

    def _init(self, mode: str) -> wandb.Run:
        info = self._info
        assert info is not None
        settings = wandb.Settings(
            silent=True,
            # What it would collect by itself: the command line and the terminal may hold secrets and paths.
            console="off",
            x_disable_meta=True,
            disable_git=True,
            disable_code=True,
            x_save_requirements=False,
            init_timeout=self.start_timeout,
            finish_timeout=self.finish_timeout,
            finish_timeout_raises=True,
        )
        return wandb.init(
            project=self.project,
            entity=self.entity,
            dir=self.save_dir,
            id=self.id,
            # An offline run is on no server yet, so there is nothing to resume: each process writes a segment of it.
            resume="allow" if mode == "online" else None,
            name=info.name,
            group=(self.group or info.group)[:128],
            job_type=info.method,
            tags=self.tags,
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _sync(folders: Sequence[Path | str]) -> str:
    return shlex.join(["wandb", "sync", *map(str, folders)])
