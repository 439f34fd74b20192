"""What a configuration may have called: one that came from elsewhere is read as settings, and not run as a program.

Hydra's own `hydra.*` settings (launchers, sweepers, its callbacks) are outside of this: Hydra runs them before it hands
over. `allowed_targets` is a setting too: whoever runs a file of somebody else's reads that one line.
"""

import inspect
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.utils import get_object

from scd_lightning.config.definitions import defined_as
from scd_lightning.config.pasting import override_of
from scd_lightning.errors import ConfigError

# Of ours, what configurations are written with. Not what the pipeline makes itself, as its callbacks: those write and
# delete in folders that they are told.
_OWN: tuple[str, ...] = ("config.settings", "data", "loggers", "losses", "models.spec", "pipeline.method", "schedules")
_OWN += ("tasks", "training.strategies", "training.trainer")
_LIGHTNING = ("callbacks", "loggers", "plugins", "profilers", "strategies")
# Parts of packages and not whole ones: torch.load, torch.hub and the like run code that comes with a file.
CONFIGURABLE = (
    *(f"scd_lightning.{part}" for part in _OWN),
    *(f"lightning.pytorch.{part}" for part in _LIGHTNING),
    "lightning.fabric.plugins",
    "torch.optim",
    "transformers.optimization",
)


def check_allowed(allowed: object) -> list[str]:
    """The user's `allowed_targets`, if they are a list of names.

    Raises:
        ConfigError: They are not.
    """
    if isinstance(allowed, list) and all(isinstance(each, str) and each for each in allowed):
        return allowed
    raise ConfigError(
        "The allowed targets can't be read",
        where="allowed_targets",
        got=repr(allowed),
        expected="a list of packages, modules, classes or functions, such as [my_package, torch.nn]",
    )


def targets_in(values: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The place and the `_target_` of each call in a part of a configuration, the outer ones first.

    Args:
        values: The part, as plain values.
        where: Its place in the configuration.
    """
    if isinstance(values, list):
        for index, value in enumerate(values):
            yield from targets_in(value, f"{where}[{index}]")
    elif isinstance(values, Mapping):
        if "_target_" in values:
            yield where, values["_target_"]
        for name, value in values.items():
            yield from targets_in(value, f"{where}.{name}")


def find_target(path: object, allowed: Sequence[str], where: str) -> Callable[..., Any]:
    """The class or function that a `_target_` names, where it lives in a place that may be called.

    It is judged by where it was defined and not by the name that the configuration has for it, since modules hold much
    that they only import. Nothing is imported from a package of which nothing is allowed: importing runs code.

    Args:
        path: The `_target_`.
        allowed: The user's `allowed_targets`.
        where: The place in the configuration, for messages.

    Raises:
        ConfigError: There is none, or it may not be called.
    """
    if not isinstance(path, str):
        raise ConfigError("A _target_ is no name", where=where, got=repr(path), expected="package.module.name")
    # What Hydra says of a class that does not exist, our own message says in one line.
    logging.getLogger("hydra._internal.utils").setLevel(logging.CRITICAL)
    roots = {each.partition(".")[0] for each in (*CONFIGURABLE, *allowed)}
    try:
        target = get_object(path) if path.partition(".")[0] in roots else _imported(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError("There is no such class or function", where=where, got=path) from error
    name = path if target is None else defined_as(target)
    if not callable(target) or not _may_be_called(target, name, allowed):
        raise ConfigError(
            "A configuration may not have this called",
            where=where,
            got=path if name == path else f"{path}, which is {name}",
            expected=f"a class of {', '.join(CONFIGURABLE)}, or what allowed_targets names",
            remedy=f"if you trust it, and whoever wrote the configuration: {_allowing(name, allowed)}",
        )
    return target


def _imported(path: str) -> Any:
    """What a path names, if it is there without a further import; else None."""
    root, *names = path.split(".")
    found: Any = sys.modules.get(root)
    for name in names:
        found = getattr(found, name, None)
    return found


def _may_be_called(target: object, name: str, allowed: Sequence[str]) -> bool:
    if any(_within(name, each) for each in allowed):
        return True
    # Libraries' functions beside their classes are helpers, which nobody configures.
    plain = inspect.isclass(target) or (inspect.isfunction(target) and _within(name, "scd_lightning"))
    return plain and any(_within(name, each) for each in CONFIGURABLE)


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def _allowing(name: str, allowed: Sequence[str]) -> str:
    """As little as will do: the object itself of a library that is partly allowed, else its package."""
    root = name.partition(".")[0]
    known = {each.partition(".")[0] for each in CONFIGURABLE} | set(sys.stdlib_module_names)
    before = [each for each in allowed if not _within(each, "scd_lightning")]
    return override_of("allowed_targets", [*before, name if root in known else root])
