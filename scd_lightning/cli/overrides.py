"""What run.py reads and says: flags wherever they stand, typing errors with what was probably meant."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from scd_lightning.cli.reading import is_plain_text, is_prompt
from scd_lightning.config.invocation import program
from scd_lightning.config.option_places import places_of_options
from scd_lightning.config.pasting import command_of
from scd_lightning.redaction.cleaning import clean_override

_SWEEP = ("-m", "--multirun")
# A quotation, whose line breaks belong to it, or else a line break.
_BREAK = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|\s*\n\s*""")


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Arguments with the flag of a sweep in front: Hydra takes overrides in one piece only.

    >>> flags_first(["method=td,scd", "-m", "seed=0,1"])
    ['-m', 'method=td,scd', 'seed=0,1']
    """
    return [each for each in arguments if each in _SWEEP] + [each for each in arguments if each not in _SWEEP]


def one_line(argument: str) -> str:
    r"""An override that goes over several lines, as long lists do, in one: Hydra can't read others.

    Line breaks of a text stay, in quotes.

    >>> one_line("list=[\n  1,\n  2]"), one_line("task.template={text}\nClass:\n")
    ('list=[ 1, 2]', "task.template='{text}\nClass:\n'")
    """
    line = _BREAK.sub(lambda found: found[1] or " ", argument.strip())
    key, _, text = argument.partition("=")
    text = text if is_prompt(key) else text.strip()
    if "\n" in text and is_plain_text(line):
        return f"{key.strip()}={QuotedString(text, Quote.single).with_quotes()}"
    return line


def job_title() -> str:
    """Which job of a sweep is running: its number, and the values that are its own."""
    hydra = HydraConfig.get()
    swept = swept_keys(hydra.sweeper.get("params"))
    own = [clean_override(each) for each in written(hydra.overrides.task) if each.partition("=")[0] in swept]
    return f"job {hydra.job.num}: {' '.join(own)}"


def chosen(group: str) -> str | None:
    """The option of a group that the running job has."""
    option: str | None = HydraConfig.get().runtime.choices.get(group)
    return option


def _plain(hydra: Any) -> dict[str, Any]:
    plain = OmegaConf.to_container(hydra, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


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
    """The command line of the running job, without secrets; of one in a sweep, that which runs it alone."""
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        overrides = [*places_of_options(_plain(hydra)), *written(hydra.overrides.task)]
        # A search is a sweep by itself.
        single = ["hydra.mode=RUN"] if any(each.startswith("hparams_search=") for each in overrides) else []
        return command_of([*program(), *overrides, *single])
    return command_of([*program(), *sys.argv[1:]])


def rank_command(run_dir: Path) -> list[str]:
    """What each process of the running job is to run: the job's own overrides, as a single run.

    The same for `-m`, joblib and one job alone.

    Args:
        run_dir: The run's folder.
    """
    hydra = HydraConfig.get()
    own = ("hydra.mode", "hydra.run.dir", "hydra.sweep")
    overrides = [each for each in written(hydra.overrides.hydra) if not each.startswith(own)]
    places = [each for each in places_of_options(_plain(hydra)) if each.startswith("--config-dir=")]
    return [
        sys.executable,
        os.path.abspath(sys.argv[0]),
        f"--config-name={hydra.job.config_name}",
        *places,
        *written(hydra.overrides.task),
        *overrides,
        "hydra.mode=RUN",
        "hydra.output_subdir=null",
        "hydra.run.dir='{}'".format(str(run_dir).replace("'", "\\'")),
    ]
