"""What Hydra reads and writes, kept free of secrets: it notes a job's settings and overrides before the job begins.

A process that a launcher starts writes such files too, so that this is done where the job is imported.
"""

import re
import sys
from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl
from hydra.core import utils
from hydra.core.override_parser.types import Override
from hydra.utils import get_class
from omegaconf import Container, Node, OmegaConf
from omegaconf.resolvers import oc

from scd_lightning.errors import ConfigError
from scd_lightning.redaction.cleaning import clean, clean_override, remarks
from scd_lightning.redaction.known_secrets import learn, learn_from, learn_from_text
from scd_lightning.redaction.secret_names import is_of_data
from scd_lightning.redaction.secret_places import lacks_secret

_VARIABLE = re.compile(r"\$\{oc\.env:\s*(\w+)[^{}]*\}")
# Where things lie, which is no secret.
_PLACES = ("paths.", "hydra.run.", "hydra.sweep.", "hydra.runtime.")


def keep_secrets() -> None:
    """Has Hydra write no secrets in this process, and learns those that a configuration takes from the environment."""
    if utils._save_config is _save_config:
        return
    OmegaConf.register_new_resolver("oc.env", _of_environment, replace=True)
    utils._save_config = _save_config
    _keep_out_of_folder_names()


def keep_out_of_sweeps(sweeper: str) -> None:
    """Has a sweeper write no secrets; for the process that starts a sweep, once Hydra has loaded its plugins.

    Args:
        sweeper: The class.
    """
    module = sys.modules[get_class(sweeper).__module__]
    if getattr(module, "OmegaConf", None) is OmegaConf:
        module.OmegaConf = _Cleaning  # type: ignore[attr-defined]


def check_arguments(arguments: Sequence[str]) -> None:
    """Learns the secrets of a command line.

    Raises:
        ConfigError: It comes from a file that has left one out.
    """
    for argument in arguments:
        learn_from_text(argument, strict=not is_of_data(argument.partition("=")[0]))
        if lacks_secret(argument):
            name = argument.partition("=")[0]
            raise ConfigError(
                "A secret was left out of this command where it was written down",
                where=name,
                got=argument.partition("=")[2],
                remedy=f"set a variable of the environment, say SECRET, and write {name}='${{oc.env:SECRET}}'",
            )


def learn_settings(cfg: Any) -> None:
    """Learns the secrets of a configuration, as it is written."""
    learn_from(OmegaConf.to_container(cfg, resolve=False))


def shown_yaml(cfg: Any) -> str:
    """A configuration, or a list of overrides, as Hydra writes it, without secrets."""
    before = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    learn_from(before)
    after = clean(before)
    return OmegaConf.to_yaml(cfg) if after == before else remarks(before, after) + OmegaConf.to_yaml(after)


class _Cleaning(OmegaConf):
    """What Hydra's sweepers save a sweep's configuration by, and what they found."""

    @staticmethod
    def save(config: Any, f: Any, resolve: bool = False) -> None:
        """Writes what `_save_config` does, where it is a file's name that is given."""
        if not isinstance(f, str | Path):
            OmegaConf.save(config, f, resolve)
            return
        cfg = config if OmegaConf.is_config(config) else OmegaConf.create(config)
        _save_config(cfg, Path(f).name, Path(f).parent)


def _save_config(cfg: Any, filename: str, output_dir: Path) -> None:
    """Writes a configuration as Hydra does."""
    text = shown_yaml(cfg)
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / filename).write_text(text, encoding="utf-8")


def _of_environment(key: str, default: Any = oc._DEFAULT_MARKER_, *, _parent_: Container, _node_: Node) -> Any:
    """The value of a variable, as OmegaConf gives it."""
    value = oc.env(key) if default is oc._DEFAULT_MARKER_ else oc.env(key, default)
    place = str(_node_._get_full_key(None) if _node_ is not None else _parent_._get_full_key(None))
    if isinstance(value, str) and not place.startswith(_PLACES):
        learn(value, key)
    return value


def _keep_out_of_folder_names() -> None:
    """`hydra.job.override_dirname` names folders by overrides: of a variable it gets the name, and not the value."""
    name = config_loader_impl.get_overrides_dirname

    @wraps(name)
    def cleaned(overrides: Sequence[Override], *arguments: Any, **named: Any) -> str:
        lines = [each.input_line for each in overrides]
        try:
            for each in overrides:
                each.input_line = _VARIABLE.sub(r"\1", clean_override(each.input_line or ""))
            return name(list(overrides), *arguments, **named)
        finally:
            for each, line in zip(overrides, lines, strict=True):
                each.input_line = line

    config_loader_impl.get_overrides_dirname = cleaned
