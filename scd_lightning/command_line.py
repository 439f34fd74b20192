"""What run.py reads and says: flags wherever they stand, typing errors with what was probably meant."""

import difflib
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scd_lightning.errors import ConfigError
from scd_lightning.errors import interrupted as interrupted

_SWEEP = ("-m", "--multirun")
# A quotation, whose line breaks belong to it, or else a line break.
_BREAK = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|\s*\n\s*""")
_SEE = "`python run.py --help` lists the groups, `python run.py --cfg job` all settings"
# Options that Hydra's plugins bring, and the extra of this package that installs them.
_PLUGINS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/sweeper/optuna": "optuna",
}
PREEMPTED = "Ended by {}. What was trained so far is saved: the same command goes on from there."
INTERRUPTED = "Interrupted. What is finished is in the store: the same command goes on from there."


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Arguments with the flag of a sweep in front: Hydra takes overrides in one piece only.

    >>> flags_first(["method=td,scd", "-m", "seed=0,1"])
    ['-m', 'method=td,scd', 'seed=0,1']
    """
    return [each for each in arguments if each in _SWEEP] + [each for each in arguments if each not in _SWEEP]


def one_line(argument: str) -> str:
    r"""An override that goes over several lines, as long lists do, in one: Hydra can't read others.

    >>> one_line("list=[\n  1,\n  2]")
    'list=[ 1, 2]'
    """
    return _BREAK.sub(lambda found: found[1] or " ", argument.strip())


def job_title() -> str:
    """Which job of a sweep is running: its number, and the values that are its own."""
    hydra = HydraConfig.get()
    swept = swept_keys(hydra.sweeper.get("params"))
    own = [each for each in written(hydra.overrides.task) if each.partition("=")[0] in swept]
    return f"job {hydra.job.num}: {' '.join(own)}"


def written(overrides: Any) -> list[str]:
    """Overrides as they were written: a list of Hydra's would resolve what is in ${}, in its own terms.

    Args:
        overrides: A list of Hydra's configuration, whose own type says that it's a plain one.
    """
    plain = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(plain, list)
    return list(map(str, plain))


def swept_keys(params: Iterable[Any] | None) -> list[str]:
    """The settings that the running sweep varies.

    Args:
        params: The names of those that a configuration has it vary; what the command line fixes is not among them.
    """
    given = [each for each in sys.argv[1:] if "=" in each and not each.startswith("-")]
    parsed = OverridesParser.create().parse_overrides(given)
    several = {each.get_key_element(): each.is_sweep_override() for each in parsed}
    own = [str(name) for name in params or () if str(name) not in several]
    return [*own, *(name for name, varies in several.items() if varies)]


def swept_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job of a sweep by Hydra's own sweeper, in their order.

    Args:
        overrides: What is given for all of them; later ones go before earlier ones.

    Returns:
        None at all where they can't be told beforehand, as with options that are given by a pattern.
    """
    with suppress(HydraException):
        (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(list(overrides)), None)
        return jobs
    return []


def job_command() -> str:
    """The command line of the running job; of one in a sweep, that which runs it alone."""
    hydra = HydraConfig.get()
    script = Path(sys.argv[0]).name
    if hydra.mode == RunMode.MULTIRUN:
        overrides = written(hydra.overrides.task)
        # A search is a sweep by itself.
        single = ["hydra.mode=RUN"] if any(each.startswith("hparams_search=") for each in overrides) else []
        return shlex.join(["python", script, *overrides, *single])
    return shlex.join(["python", script, *sys.argv[1:]])


def explain(error: Exception) -> ConfigError:
    """What Hydra has to say of a command line, in one paragraph with the nearest names.

    Args:
        error: An exception of Hydra or OmegaConf.
    """
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.missing_cfg_file in _PLUGINS:
        option = str(error.missing_cfg_file)
        return ConfigError(
            "A plugin of Hydra's is not installed",
            where="=".join(option.rsplit("/", 1)),
            remedy=f"python -m pip install -e '.[{_PLUGINS[option]}]'",
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _no_option(error)
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        return _no_key(cause)
    if isinstance(error, OverrideParseException):
        return ConfigError(
            "An override can't be read",
            where=error.override,
            got=_paragraph(error.message).partition(" See https")[0],
            remedy="put quotes around values with spaces, commas, brackets or =, once for the shell and once within: "
            "'name=\"a, b\"'",
        )
    return ConfigError(f"The command line or the configuration can't be used ({_paragraph(str(error))})", remedy=_SEE)


def unusable_folder(error: OSError) -> ConfigError:
    """The message for a run's folder that can't be made."""
    return ConfigError(
        "The run's folder can't be made or written",
        where="hydra.run.dir, hydra.sweep.dir",
        got=f"{error.filename}: {error.strerror}",
        expected="a folder that this user may write to, on a disk with room",
    )


def _no_option(error: MissingConfigException) -> ConfigError:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    options = list(error.options or ())
    return ConfigError(
        f"The group {group} has no option {option}{_meant(option, options)}",
        where=f"{group}={option}",
        expected=f"{group}= {', '.join(options)}",
    )


def _no_key(cause: OmegaConfBaseException) -> ConfigError:
    key, parent = str(cause.full_key), cause.parent_node
    if not isinstance(parent, Container):
        return ConfigError(f"There is no setting {key}", where=key, remedy=_SEE)
    # Both a name that is nearly right, and a right name in the wrong place.
    known = list(_keys(parent._get_root()))
    place, _, name = key.rpartition(".")
    elsewhere = [each for each in known if each.rpartition(".")[2] == name]
    siblings = [str(each) for each in parent if not str(each).startswith("_")] if isinstance(parent, DictConfig) else []
    return ConfigError(
        f"There is no setting {key}{_meant(key, known, elsewhere)}",
        where=key,
        expected=f"{place + ': ' if place else ''}{', '.join(sorted(siblings))}" if siblings else None,
        remedy=f"{_SEE}; what is really meant to be new takes a +, as in +{key}=",
    )


def _keys(node: Container, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig) and not node._is_none():
        for key, value in node.items_ex(resolve=False):
            name = f"{prefix}{key!s}"
            if name != "hydra" and not str(key).startswith("_"):
                yield name
                if isinstance(value, DictConfig) and not value._is_missing() and not value._is_interpolation():
                    yield from _keys(value, f"{name}.")


def _meant(name: str, known: Sequence[str], first: Sequence[str] = ()) -> str:
    near = [*first, *difflib.get_close_matches(name, known, n=3, cutoff=0.6)]
    chosen = list(dict.fromkeys(near))[:3]
    return f" (did you mean {' or '.join(chosen)}?)" if chosen else ""


def _paragraph(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".")
