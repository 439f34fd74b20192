"""What surrounds the jobs of a sweep: what each needs to know in its process, and what all of them found."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from typing_extensions import override

from scd_lightning.analysis.comparison.draws import Draws
from scd_lightning.cli.hydra_secrets import keep_out_of_sweeps
from scd_lightning.cli.overrides import swept_jobs, written
from scd_lightning.cli.session import session
from scd_lightning.config.checks import signal_number
from scd_lightning.errors import ScdError, exit_code, recorded_as
from scd_lightning.launch import side_by_side
from scd_lightning.progress import JOB, complain, say
from scd_lightning.redaction.cleaning import clean_override

# The packages that run jobs for Hydra.
_LAUNCHERS = ("joblib", "submitit")
_REMEDY = "The same command goes on: what is finished is in the store and is reused."


class SweepEnd(Callback, ABC):
    """Tells at the end of a sweep what its jobs found.

    Hydra calls it in the process that starts the sweep, and a copy of it in the process of each job.
    """

    _argv: Sequence[str] = ()
    _allowed: Sequence[str] = ()

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        keep_out_of_sweeps(config.hydra.sweeper._target_)
        # A launcher runs the jobs in processes that have other command lines.
        self._argv = [os.path.abspath(sys.argv[0]), *sys.argv[1:]]
        # Of a setting that can't be used, each job tells.
        self._allowed = written(config.allowed_targets) if OmegaConf.is_list(config.allowed_targets) else []
        session.conclude_sweep = partial(self._break_off, Path(config.hydra.sweep.dir))
        if "joblib" in config.hydra.launcher._target_:
            _save_at_signals(config)

    @override
    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        sys.argv = [*self._argv]
        if config.hydra.runtime.choices["hydra/launcher"] != "basic":
            os.environ[JOB] = f"job {config.hydra.job.num}"

    @override
    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        # Hydra prints those of a job that ended by a defect.
        job_return.overrides = [clean_override(each) for each in job_return.overrides or ()]
        if config.hydra.mode == RunMode.MULTIRUN:
            # The process may run other jobs.
            os.environ.pop(JOB, None)

    @override
    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        session.conclude_sweep = None
        self._end(Path(config.hydra.sweep.dir))

    def _break_off(self, folder: Path, error: Exception) -> bool:
        """Where a job was killed, joblib ends the others too, and submitit waits for none of them any longer."""
        session.conclude_sweep = None
        if type(error).__module__.partition(".")[0] not in _LAUNCHERS:
            return False
        self._end(folder)
        complain(f"\nThe launcher broke off the sweep. {type(error).__name__}: {error}\n\n{_REMEDY}")
        session.exit_code = exit_code(error)
        return True

    def _end(self, folder: Path) -> None:
        try:
            failures = self.conclude(folder)
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
        from scd_lightning.cli.report import show_sweep

        if self._draws is not None:
            self._draws.forget()
        return [failure.type for failure in show_sweep(folder, self._allowed).failures]


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
