"""What a configuration names on disk and on the hub, looked for before any framework is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scd_lightning.existing.places import is_of_hub, named
from scd_lightning.models.packaged import find_gguf_file
from scd_lightning.models.spec import ModelSpec
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
            if not is_of_hub(pattern):  # Which is asked with torch and transformers at hand.
                named(pattern, "teacher.trajectory")
    if "student" in parts:
        _check_model(parts["student"])
    if "anchor" in parts and parts["anchor"].path is not None:
        named(parts["anchor"].path, "anchor.path")


def _check_model(spec: ModelSpec) -> None:
    if spec.gguf is not None:
        find_gguf_file(spec.gguf, f"{spec.role}.gguf")
    elif spec.path is not None:
        # Not above: what reaches the hub takes longer to load than all else up to here.
        from scd_lightning.models.hub import fetch_config

        fetch_config(spec.path, spec.revision, f"{spec.role}.path")
