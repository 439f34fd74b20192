"""`run(...)`: a job of the command line, called by a program."""

import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from scd_lightning.analysis.run.run_result import RunResult, read_result
from scd_lightning.cli.hydra_secrets import check_arguments
from scd_lightning.cli.job import run_alone
from scd_lightning.cli.mistakes import explain, mistake_of
from scd_lightning.cli.overrides import one_line
from scd_lightning.cli.session import session
from scd_lightning.cli.swept_groups import VERSION
from scd_lightning.config.invocation import SCD, configuration
from scd_lightning.errors import ConfigError, ScdError


def run(overrides: Sequence[str] = (), *, folder: str | Path | None = None) -> RunResult:
    """Runs one job in this process, as `scd` with the same overrides would, and gives what it has found.

    It says what the command says, and leaves the same. What is in the store is not made anew, so that the same call
    again goes on where an earlier one was stopped. In the main thread Ctrl-C has a training save its state first.

    >>> run(["seed=0,1"])
    Traceback (most recent call last):
    ...
    scd_lightning.errors.ConfigError: One job is run here, and this is a sweep. Where: seed. Got: seed=0,1. ...

    Args:
        overrides: As on the command line, a text each: "task=ner", "student.optimizer.lr=1e-4". Nothing is to be quoted
            for a shell.
        folder: The run's folder, as `hydra.run.dir=` names it; None for a new one under outputs/.

    Raises:
        ScdError: A mistake that can be mended, which the command would print: a `ConfigError`, `DataError` and so on,
            by what is wrong.
        KeyboardInterrupt: Ctrl-C.
        Preempted: A signal, such as a cluster's, at which the state was saved.
    """
    if isinstance(overrides, str):
        raise ConfigError("The overrides are one text", where="overrides", got=overrides, expected="a list of them")
    arguments = [one_line(str(each)) for each in overrides]
    if folder is not None:
        arguments.append(f"hydra.run.dir={_quoted(str(folder))}")
    check_arguments(arguments)
    with _as_a_command(arguments), _own_hydra(), warnings.catch_warnings():
        try:
            _check_single(arguments)
            found = _run(arguments)
        except Exception as error:
            mistake = mistake_of(error)
            if mistake is None or mistake is error:
                raise
            raise mistake from error
    return read_result(found)


def _quoted(path: str) -> str:
    """A path as the value of an override."""
    if re.fullmatch(r"[\w./-]+", path):
        return path
    escaped = path.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _run(arguments: Sequence[str]) -> Path:
    """Composes the job, and runs it; its folder."""
    hydra = Hydra.create_main_hydra2("run", create_config_search_path(str(configuration())))
    if hydra.get_mode("config", list(arguments)) == RunMode.MULTIRUN:
        raise _sweep("hydra.mode", "MULTIRUN")
    ended: list[Path | Exception] = []

    def call(cfg: DictConfig) -> None:
        try:
            ended.append(run_alone(cfg))
        except Exception as error:  # Hydra would print what is raised.
            ended.append(error)

    try:
        hydra.run("config", call, list(arguments), with_log_configuration=False)
    except SystemExit as error:
        # What is found before the job, for which a command ends at once.
        if isinstance(error.__context__, ScdError):
            raise error.__context__ from None
        raise
    (found,) = ended
    if isinstance(found, Exception):
        raise found
    return found


def _check_single(arguments: Sequence[str]) -> None:
    """Refuses flags of the command line, and what makes a sweep."""
    flags = [each for each in arguments if each.startswith("-")]
    if flags:
        raise (
            _sweep(flags[0], flags[0])
            if flags[0] in ("-m", "--multirun")
            else ConfigError(
                "Flags are for the command line",
                where="overrides",
                got=flags[0],
                expected="overrides, such as task=ner",
            )
        )
    try:
        given = OverridesParser.create().parse_overrides(list(arguments))
    except HydraException as error:
        raise explain(error) from error
    for each in given:
        if each.is_sweep_override():
            raise _sweep(each.get_key_element(), each.input_line)


def _sweep(where: str, got: object) -> ConfigError:
    return ConfigError(
        "One job is run here, and this is a sweep",
        where=where,
        got=got,
        expected="one value for each setting, in a call for each; sweeps and searches are the command line's",
    )


@contextmanager
def _as_a_command(arguments: Sequence[str]) -> Iterator[None]:
    """Gives this process the command line of the job: it is written down, and started for each of several devices."""
    clone = configuration().with_name("run.py")
    script = str(clone) if clone.is_file() else shutil.which(SCD) or str(Path(sys.executable).with_name(SCD))
    before, formatting = sys.argv, warnings.formatwarning
    sys.argv = [script, *arguments]
    try:
        yield
    finally:
        sys.argv, warnings.formatwarning = before, formatting


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Hydra and the session as a new process has them; those of the caller, who may use Hydra too, afterwards."""
    hydra, base, state = GlobalHydra.instance().hydra, version.VersionBase.instance().getbase(), vars(session).copy()
    GlobalHydra.instance().clear()
    version.setbase(VERSION)
    vars(session).update(vars(type(session)()))
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = hydra
        version.VersionBase.instance().version_base = base
        vars(session).update(state)
