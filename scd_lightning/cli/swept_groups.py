"""Settings of a group whose options a sweep varies: `-m method=td,scd method.weighting.weight=0.9`.

Hydra composes a sweep once without what varies, and refuses a setting that the group's default option lacks, whatever
the jobs have. Here each option is asked, before any job.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ConfigError

VERSION = "1.3"
# What makes a sweep of a command without -m.
_SWEEPS = ("hparams_search=", "hydra.mode=MULTIRUN")


def fit_to_options(arguments: Sequence[str], conf: Path) -> list[str]:
    """A command's arguments; in a sweep, a setting that each of the swept options has and the default lacks gets ++.

    Args:
        arguments: The process's, without its name.
        conf: The folder of the configuration.

    Raises:
        ConfigError: One of the swept options lacks a setting.
    """
    if not any(each in ("-m", "--multirun") or each.startswith(_SWEEPS) for each in arguments):
        return list(arguments)
    with suppress(HydraException, OmegaConfBaseException, OSError):  # Hydra itself says what is wrong.
        strangers = _Sweep(arguments, conf).strangers()
        return [f"++{each.lstrip('+')}" if each in strangers else each for each in arguments]
    return list(arguments)


class _Sweep:
    """A sweep's overrides: options of groups that vary, settings of these groups, and all else that does not vary."""

    def __init__(self, arguments: Sequence[str], conf: Path) -> None:
        version.setbase(VERSION)
        line = get_args_parser().parse_args(list(arguments))
        places = create_config_search_path(str(conf))
        if line.config_dir is not None:
            places.prepend("command-line", f"file://{os.path.abspath(line.config_dir)}")
        self._loader, self._name = ConfigLoaderImpl(places), line.config_name or "config"
        given = OverridesParser.create(self._loader).parse_overrides(line.overrides)
        varied = [each for each in given if each.is_sweep_override() and self._is_group(each)]
        groups = {each.key_or_group for each in varied}
        within = [each for each in given if each.key_or_group.partition(".")[0] in groups and each not in varied]
        # What is added or taken away need not be there.
        self._settings = [each for each in within if not (each.is_add() or each.is_force_add() or each.is_delete())]
        used = {each.key_or_group.partition(".")[0] for each in self._settings}
        self._options = self._jobs([each for each in varied if each.key_or_group in used])
        self._others = [_text(each) for each in given if each not in within and not each.is_sweep_override()]

    def _is_group(self, override: Override) -> bool:
        return not override.is_hydra_override() and bool(self._loader.get_group_options(override.key_or_group))

    def _jobs(self, overrides: list[Override]) -> list[list[str]]:
        (jobs,) = BasicSweeper.split_arguments(overrides, None) if overrides else ([],)
        return jobs

    def strangers(self) -> set[str]:
        """The settings, as they are written, that each option has and Hydra would refuse nevertheless."""
        self._check_each_option()
        fixed = [each for each in self._settings if not each.is_sweep_override()]
        if not self._options or self._composes([], fixed):
            return set()
        refused = [each for each in fixed if not self._composes([], [each])]
        # None of the options has what the first lacks: to add it would hide a typing error.
        return {_text(each) for each in refused if self._composes(self._options[0], [each])}

    def _check_each_option(self) -> None:
        for options in self._options:
            if self._composes(options, self._settings) or not self._composes(options, []):
                continue
            for each in self._settings:
                if not self._composes(options, [each]):
                    self._refuse(each)

    def _refuse(self, setting: Override) -> None:
        """Says which options lack a setting; where all do it is unknown, and Hydra names those that are like it."""
        has = {" ".join(options): self._composes(options, [setting]) for options in self._options}
        having = ", ".join(name for name, there in has.items() if there)
        lacking = ", ".join(name for name, there in has.items() if not there)
        if having:
            raise ConfigError(
                f"Not all options of the sweep have the setting {setting.key_or_group}",
                where=_text(setting),
                got=f"none of {lacking}",
                expected="a setting of each of them",
                remedy=f"give it to a sweep over {having} alone, and run the others in a sweep of their own; "
                f"`{command_of(program('report'))} FOLDER FOLDER` compares both",
            )

    def _composes(self, options: Sequence[str], settings: Sequence[Override]) -> bool:
        """Whether a job with these options and settings can be composed; of a setting that varies, its first value."""
        values = [self._jobs([each])[0][0] if each.is_sweep_override() else _text(each) for each in settings]
        try:
            self._loader.load_configuration(self._name, [*self._others, *options, *values], RunMode.RUN)
        except (HydraException, OmegaConfBaseException):
            return False
        return True


def _text(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line
