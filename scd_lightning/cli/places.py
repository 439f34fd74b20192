"""What a configuration names on disk and on the hub, looked for before any framework is loaded."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from scd_lightning.errors import ConfigError
from scd_lightning.existing.places import named
from scd_lightning.models.packaged import find_gguf_file
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.run_folder import MADE_ANEW
from scd_lightning.store.layout import check_place


def check_places(parts: Mapping[str, Any], store: Path) -> None:
    """Makes sure that something is there; what it holds is read later.

    Args:
        parts: As `check_light_parts` gives them.
        store: The store's folder.

    Raises:
        ScdError: Something is missing, or can't be made.
    """
    check_place(store)
    if "task" in parts:
        parts["task"].source.check_places()
    if "teacher" in parts:
        _check_model(parts["teacher"])
        trajectory = parts["teacher"].trajectory
        for pattern in [trajectory] if isinstance(trajectory, str) else trajectory or ():
            named(pattern, "teacher.trajectory")
    if "student" in parts:
        _check_model(parts["student"])
    if "anchor" in parts and parts["anchor"].path is not None:
        named(parts["anchor"].path, "anchor.path")


def check_kept(settings: Mapping[str, Any], run_dir: Path) -> None:
    """Makes sure that nothing which the run reads lies where it writes: it would be gone in the end.

    Args:
        settings: As `read_settings` gives them.
        run_dir: The run's folder.

    Raises:
        ConfigError: Something does.
    """
    written = [Path(os.path.realpath(run_dir / name)) for name in MADE_ANEW]
    for where, text in _texts(settings, ""):
        with suppress(OSError, ValueError):  # No path: too long for one, or with signs that none has.
            path = Path(os.path.realpath(Path(text).expanduser()))
            place = next((each for each in written if path.is_relative_to(each)), None)
            if place is not None and (path.exists() or where == "paths.store"):
                raise ConfigError(
                    "What the run reads lies where it writes",
                    where=where,
                    got=text,
                    expected=f"a place outside of {place}, which the run makes anew",
                    remedy="choose another folder for the run with hydra.run.dir=, or copy this elsewhere",
                )


def _texts(values: Any, where: str) -> Iterator[tuple[str, str]]:
    """All texts in settings, with their places."""
    if isinstance(values, str):
        yield where, values
    elif isinstance(values, Mapping | list):
        for name, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            yield from _texts(value, f"{where}.{name}" if where else str(name))


def _check_model(spec: ModelSpec) -> None:
    if spec.gguf is not None:
        find_gguf_file(spec.gguf, f"{spec.role}.gguf")
    elif spec.path is not None:
        # Not above: what reaches the hub takes longer to load than all else up to here.
        from scd_lightning.models.hub import fetch_config

        fetch_config(spec.path, spec.revision, f"{spec.role}.path")
