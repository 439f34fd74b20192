"""What surrounds the jobs of a sweep: what each needs to know in its process, and what all of them found."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from scd_lightning import errors
from scd_lightning.analysis.search import TRIAL
from scd_lightning.cli.overrides import swept_jobs, swept_keys, written
from scd_lightning.cli.session import session
from scd_lightning.config.checks import signal_number
from scd_lightning.errors import ConfigError, ScdError, exit_code
from scd_lightning.launch import side_by_side
from scd_lightning.launch.failures import FAILURE
from scd_lightning.progress import JOB, complain, say
from scd_lightning.store.removal import delete

if TYPE_CHECKING:
    from scd_lightning.analysis.comparison.draws import Draws
    from scd_lightning.analysis.comparison.failed_jobs import Failure

# The packages that run jobs for Hydra.
_LAUNCHERS = ("joblib", "submitit")
_REMEDY = "The same command goes on: what is finished is in the store and is reused."


class SweepEnd(Callback):
    """Tells at the end of a sweep what its jobs found.

    Hydra calls it in the process that starts the sweep, and a copy of it in the process of each job.
    """

    def __init__(self) -> None:
        self._argv: list[str] = []
        self._allowed: list[str] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Notes the command line: a launcher runs the jobs in processes that have others."""
        self._argv = [os.path.abspath(sys.argv[0]), *sys.argv[1:]]
        # Of a setting that can't be used, each job tells.
        self._allowed = written(config.allowed_targets) if OmegaConf.is_list(config.allowed_targets) else []
        session.conclude_sweep = partial(self._break_off, Path(config.hydra.sweep.dir))
        if "joblib" in config.hydra.launcher._target_:
            _save_at_signals(config)

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **kwargs: Any) -> None:
        """Gives the job's process the command line of the sweep, and its lines a name where they may get mixed."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        sys.argv = [*self._argv]
        if config.hydra.runtime.choices["hydra/launcher"] != "basic":
            os.environ[JOB] = f"job {config.hydra.job.num}"

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Takes the name back: the process may run other jobs."""
        if config.hydra.mode == RunMode.MULTIRUN:
            os.environ.pop(JOB, None)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Tells what was found; the process ends with the exit code of the last job that failed."""
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
            session.exit_code = exit_code(_kind(failures[-1].type)) if failures else 0
        except ScdError as error:  # Hydra would make a warning of it.
            complain(f"\n{type(error).__name__}: {error}")
            session.exit_code = exit_code(error)

    def conclude(self, folder: Path) -> "Sequence[Failure]":
        """Tells what the jobs in a sweep's folder found.

        Returns:
            What the sweep has failed in.
        """
        raise NotImplementedError


class SweepComparison(SweepEnd):
    """After a multirun: a table over its methods and seeds, the jobs that failed, and the verdict last.

    On one machine, what was found so far is shown meanwhile, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._draws: Draws | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Finds out which jobs belong together; their processes get a copy of it."""
        super().on_multirun_start(config, **kwargs)
        self._draws = _draws(config)
        if self._draws is not None:
            self._draws.forget()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Shows what was found so far where all jobs of a seed have ended. No job fails because of that."""
        super().on_job_end(config, job_return, **kwargs)
        if self._draws is None or session.stopped:
            return
        try:
            self._draws.end(int(config.hydra.job.num), Path(config.hydra.runtime.output_dir), self._allowed)
        except Exception as error:
            say(f"What was found so far can't be shown ({type(error).__name__}: {error})")

    def conclude(self, folder: Path) -> "Sequence[Failure]":
        """Compares what finished."""
        from scd_lightning.cli.report import show_sweep

        if self._draws is not None:
            self._draws.forget()
        return show_sweep(folder, self._allowed).failures


class SearchSummary(SweepEnd):
    """After a search: a table of what was tried, and the best of it as an override for other runs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Puts an empty search in place of what an earlier one has left there: one that is cut off is known as such."""
        from scd_lightning.analysis.search.search_summary import write_search
        from scd_lightning.analysis.search.trials import summarize

        super().on_multirun_start(config, **kwargs)
        try:
            searched = _searched(config.hydra.sweeper)
        except ConfigError as error:  # As above; nothing else ends the sweep.
            complain(f"\nConfigError: {error}")
            raise SystemExit(exit_code(error)) from None
        _hush(config.hydra.sweeper)
        for name in (TRIAL, FAILURE):
            for path in Path(config.hydra.sweep.dir).glob(f"*/{name}"):
                delete(path)
        with suppress(OSError):  # Hydra will meet it too, and ends the search.
            write_search(summarize([], searched), Path(config.hydra.sweep.dir))

    def conclude(self, folder: Path) -> "Sequence[Failure]":
        """Names the best; a training whose numbers went wrong is a bad setting, and no failure of the search."""
        from scd_lightning.cli.report import show_trials

        found = show_trials(folder)
        say(f"search: {folder / 'search.json'}")
        return [each for each in found.failures if found.chosen is None or each.type != "NotFinite"]


def _save_at_signals(config: DictConfig) -> None:
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

    try:
        names = [signal_number(name).name for name in config.resume.signals]
        side_by_side.wrap(JoblibLauncher, names, int(config.resume.exit_code))
    except (AttributeError, TypeError, ValueError, ScdError):
        return  # Of settings that can't be used, each job tells.


def _draws(config: DictConfig) -> "Draws | None":
    """The jobs of a sweep by their seeds, where its jobs run on this machine."""
    hydra = config.hydra
    on_this_machine = any(name in hydra.launcher._target_ for name in ("basic_launcher", "joblib_launcher"))
    if not on_this_machine or "basic_sweeper" not in hydra.sweeper._target_:
        return None
    from scd_lightning.analysis.comparison.draws import Draws

    params = [f"{name}={value}" for name, value in (hydra.sweeper.get("params") or {}).items()]
    return Draws.of(swept_jobs([*params, *written(hydra.overrides.task)]), Path(hydra.sweep.dir))


def _searched(sweeper: DictConfig) -> list[str]:
    """The settings that a search is for: all that vary but the seed, over which it takes the mean."""
    found = [name for name in swept_keys(sweeper.get("params")) if name != "seed"]
    if not found:
        raise ConfigError(
            "There is nothing to search for: the command line gives one value for each setting of the search",
            where=", ".join(map(str, sweeper.get("params") or ["hydra.sweeper.params"])),
            expected="several values, as in student.optimizer.lr=1e-4,1e-3; without it, those of hparams_search",
        )
    return found


def _hush(sweeper: DictConfig) -> None:
    if "optuna" in sweeper._target_:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)


def _kind(name: str) -> type[Exception]:
    """The class of an error that a job has recorded by name; of a defect, that of any."""
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, ScdError) else Exception
