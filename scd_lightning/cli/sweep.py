"""What surrounds the jobs of a sweep: what each needs to know in its process, and what all of them found."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from typing_extensions import override

from scd_lightning.analysis.comparison.draws import Draws
from scd_lightning.cli.endings import before_jobs
from scd_lightning.cli.folders import name_run, name_sweep
from scd_lightning.cli.hydra_secrets import keep_out_of_sweeps, learn_settings
from scd_lightning.cli.overrides import swept_jobs, written
from scd_lightning.cli.session import session
from scd_lightning.config.checks import signal_number
from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ScdError, exit_code, recorded_as
from scd_lightning.launch import side_by_side
from scd_lightning.progress import JOB, SWEPT, complain, say
from scd_lightning.redaction.cleaning import clean_override
from scd_lightning.run_folder.lock import Hold
from scd_lightning.run_folder.sweep_folder import Sweep, swept_by
from scd_lightning.store.manifest import sha256_json, write_text

# Hydra writes it before the first job, whosever the folder is.
_COMPOSED = "multirun.yaml"
# The packages that run jobs for Hydra.
_LAUNCHERS = ("joblib", "submitit")
_REMEDY = "The same command goes on: what is finished is in the store and is reused."


class SweepEnd(Callback, ABC):
    """Tells at the end of a sweep what its jobs found.

    Hydra calls it in the process that starts the sweep, and a copy of it in the process of each job.
    """

    _argv: Sequence[str] = ()
    _allowed: Sequence[str] = ()
    _sweep: Sweep | None = None
    _before: str | None = None

    @override
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with before_jobs():
            name_run(config)

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        keep_out_of_sweeps(config.hydra.sweeper._target_)
        with before_jobs():
            self._begin(config)
        # A launcher runs the jobs in processes that have other command lines.
        self._argv = [os.path.abspath(sys.argv[0]), *sys.argv[1:]]
        # Of a setting that can't be used, each job tells.
        self._allowed = written(config.allowed_targets) if OmegaConf.is_list(config.allowed_targets) else []
        session.conclude_sweep = self._break_off
        if "joblib" in config.hydra.launcher._target_:
            _save_at_signals(config)

    @override
    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        sys.argv = [*self._argv]
        session.sweep = self._sweep
        os.environ[SWEPT] = f"job {config.hydra.job.num}"
        if config.hydra.runtime.choices["hydra/launcher"] != "basic":
            os.environ[JOB] = os.environ[SWEPT]

    @override
    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        # Hydra prints those of a job that ended by a defect.
        job_return.overrides = [clean_override(each) for each in job_return.overrides or ()]
        if config.hydra.mode == RunMode.MULTIRUN:
            # The process may run other jobs.
            for name in (JOB, SWEPT):
                os.environ.pop(name, None)

    @override
    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        session.conclude_sweep = None
        self._end()

    def _begin(self, config: DictConfig) -> None:
        """Keeps other sweeps out of the folder, which is this one's at once where it is none of another's."""
        texts = self.first_texts(config)
        folder = name_sweep(config)
        session.hold = Hold(folder, "hydra.sweep.dir")
        sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
        what = [config.hydra.job.config_name, written(config.hydra.overrides.task), sweeper]
        learn_settings(config)
        command = command_of([*program(), *sys.argv[1:]])
        self._sweep = Sweep(folder.absolute(), sha256_json(what), command, texts)
        if swept_by(folder) is None:
            self._sweep.take()
        elif not self._sweep.owns:
            with suppress(OSError):
                self._before = (folder / _COMPOSED).read_text(encoding="utf-8")

    def first_texts(self, config: DictConfig) -> dict[str, str]:
        """Name -> text of what a sweep's folder holds from when it is the sweep's own."""
        return {}

    def _break_off(self, error: Exception) -> bool:
        """Where a job was killed, joblib ends the others too, and submitit waits for none of them any longer."""
        session.conclude_sweep = None
        if type(error).__module__.partition(".")[0] not in _LAUNCHERS:
            return False
        self._end()
        complain(f"\nThe launcher broke off the sweep. {type(error).__name__}: {error}\n\n{_REMEDY}")
        session.exit_code = exit_code(error)
        return True

    def _end(self) -> None:
        assert self._sweep is not None
        try:
            if self._sweep.owns:
                failures = self.conclude(self._sweep.folder)
            else:
                failures = _tell_failures(self._sweep)
                if self._before is not None:
                    write_text(self._sweep.folder / _COMPOSED, self._before)
            session.exit_code = exit_code(recorded_as(failures[-1]) or Exception) if failures else 0
        except ScdError as error:  # Hydra would make a warning of it.
            complain(f"\n{type(error).__name__}: {error}")
            session.exit_code = exit_code(error)

    @abstractmethod
    def conclude(self, folder: Path) -> Sequence[str]:
        """Tells what the jobs in a sweep's folder found.

        Returns:
            The names of the errors that the sweep has failed with: the process ends with the last one's exit code.
        """


class SweepComparison(SweepEnd):
    """After a multirun: a table over its methods and seeds, the jobs that failed, and the verdict last.

    On one machine, what was found so far is shown meanwhile, too.
    """

    _draws: Draws | None = None

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        super().on_multirun_start(config, **kwargs)
        self._draws = _draws(config)
        if self._draws is not None:
            self._draws.forget()

    @override
    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        super().on_job_end(config, job_return, **kwargs)
        if self._draws is None or session.stopped:
            return
        try:
            self._draws.end(int(config.hydra.job.num), Path(config.hydra.runtime.output_dir), self._allowed)
        except Exception as error:  # Anything at all: no job fails because of a table.
            say(f"What was found so far can't be shown ({type(error).__name__}: {error})")

    @override
    def conclude(self, folder: Path) -> Sequence[str]:
        # Not above: each run of run.py loads this module, and this one takes matplotlib.
        from scd_lightning.cli.best import leave_best
        from scd_lightning.cli.report import show_sweep

        if self._draws is not None:
            self._draws.forget()
        failures = show_sweep(folder, self._allowed).failures
        leave_best(folder)
        return [failure.type for failure in failures]


def _tell_failures(sweep: Sweep) -> Sequence[str]:
    """Tells how the jobs failed where none came so far as to write into the sweep's folder."""
    # Not above, for the same reason.
    from scd_lightning.cli.report import show_attempts

    failures = show_attempts(sweep.folder, sweep.identity)
    say(f"What an earlier sweep left in {sweep.folder} is as it was.")
    return [failure.type for failure in failures]


def _save_at_signals(config: DictConfig) -> None:
    try:
        names = [signal_number(name).name for name in config.resume.signals]
        side_by_side.wrap(get_class(config.hydra.launcher._target_), names, int(config.resume.exit_code))
    except (AttributeError, TypeError, ValueError, ScdError):
        return  # Of settings that can't be used, each job tells.


def _draws(config: DictConfig) -> Draws | None:
    """The jobs of a sweep by their seeds, where its jobs run on this machine."""
    hydra = config.hydra
    on_this_machine = any(name in hydra.launcher._target_ for name in ("basic_launcher", "joblib_launcher"))
    if not on_this_machine or "basic_sweeper" not in hydra.sweeper._target_:
        return None
    params = [f"{name}={value}" for name, value in (hydra.sweeper.get("params") or {}).items()]
    return Draws.of(swept_jobs([*params, *written(hydra.overrides.task)]), Path(hydra.sweep.dir))
