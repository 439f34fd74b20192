"""Where options of the user's own lie, as a command line says it."""

from collections.abc import Mapping
from typing import Any


def places_of_options(hydra: Mapping[str, Any]) -> list[str]:
    """What of a command line says where options of the user's own lie: without it, its overrides mean nothing.

    Args:
        hydra: Hydra's own part of a job's configuration.
    """
    folders = [each["path"] for each in hydra["runtime"]["config_sources"] if each["provider"] == "command-line"]
    name = hydra["job"]["config_name"]
    searched = [each for each in hydra["overrides"]["hydra"] if each.lstrip("+").startswith("hydra.searchpath=")]
    named = [] if name == "config" else [f"--config-name={name}"]
    return [*(f"--config-dir={each}" for each in folders), *named, *searched]
