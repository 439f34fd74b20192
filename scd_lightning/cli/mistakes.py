"""Hydra's own errors, said of the command line with what was probably meant."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import Container, DictConfig
from omegaconf.errors import OmegaConfBaseException

from scd_lightning.cli.session import session
from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of, override_of
from scd_lightning.errors import ConfigError

_SEVERAL = re.compile(r"Ambiguous value for argument '(?P<override>.*)'\s+1\. ", re.DOTALL)
# Options that Hydra's plugins bring, and the extra of this package that installs them.
_PLUGINS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/sweeper/optuna": "optuna",
}


def is_about_options(error: BaseException) -> TypeGuard[ValueError]:
    """Whether Hydra has met null where a group's option is to be named, of which it makes an error of Python's own."""
    return isinstance(error, ValueError) and str(error).startswith("Config group override must be a string")


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
    if is_about_options(error):
        return ConfigError(
            "A group has null for its option",
            expected="the name of an option",
            remedy="leave the group out where its default is wanted; in a sweep, run that in one of its own",
        )
    if found := _SEVERAL.search(str(error)):
        return _one_or_several(found["override"])
    return ConfigError(f"The command line or the configuration can't be used ({_paragraph(str(error))})", remedy=_see())


def _one_or_several(override: str) -> ConfigError:
    key, _, value = override.partition("=")
    one = override_of(key, value)
    return ConfigError(
        "A setting has several values outside a sweep",
        where=key,
        got=value,
        remedy=f"for a job with each of them add --multirun; for one text with commas put quotes around it, {one}, and "
        f"for a list brackets, {command_of([f'{key}=[{value}]'])}",
    )


def mistake_of(error: BaseException) -> ConfigError | None:
    """What Hydra has met before any job has started, as a mistake of the command line."""
    if isinstance(error, ConfigError):
        return error
    if isinstance(error, HydraException | OmegaConfBaseException) or is_about_options(error):
        return explain(error)
    # Hydra composes and makes the run's folder before anything of ours has started.
    if session.started or isinstance(error, ValueError) and session.conclude_sweep is not None:
        return None
    if isinstance(error, OSError):
        return unusable_folder(error)
    return explain(error) if isinstance(error, ValueError) else None


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
        return ConfigError(f"There is no setting {key}", where=key, remedy=_see())
    # Both a name that is nearly right, and a right name in the wrong place.
    known = list(_keys(parent._get_root()))
    place, _, name = key.rpartition(".")
    elsewhere = [each for each in known if each.rpartition(".")[2] == name]
    siblings = [str(each) for each in parent if not str(each).startswith("_")] if isinstance(parent, DictConfig) else []
    return ConfigError(
        f"There is no setting {key}{_meant(key, known, elsewhere)}",
        where=key,
        expected=f"{place + ': ' if place else ''}{', '.join(sorted(siblings))}" if siblings else None,
        remedy=f"{_see()}; what is really meant to be new takes a +, as in +{key}=",
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


def _see() -> str:
    run = command_of(program())
    return f"`{run} --help` lists the groups, `{run} --cfg job` all settings"
