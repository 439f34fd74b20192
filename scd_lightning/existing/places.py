"""Where existing models are looked for; what lies there is read in `saved.py`."""

import glob
import re
from pathlib import Path

from scd_lightning.errors import ConfigError

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
KINDS = (
    "a transformers folder (config.json, model.safetensors), a peft folder (adapter_config.json, "
    "adapter_model.safetensors) or a Lightning checkpoint (.ckpt)"
)


def is_of_hub(pattern: str) -> bool:
    """Whether it is a hub id, owner/model: what has that form, where there is no such folder to look for a path in."""
    return _HUB_ID.fullmatch(pattern) is not None and not Path(pattern).expanduser().parent.exists()


def named(pattern: str, where: str) -> list[Path]:
    """What a path or a pattern names.

    Args:
        pattern: A path, or a glob pattern for several.
        where: The argument, for messages.

    Raises:
        ConfigError: Nothing is there.
    """
    path = Path(pattern).expanduser()
    if path.exists():
        return [path]
    # Folders may have a pattern's own signs, such as brackets, in their names.
    parent = glob.escape(str(path.parent)) if path.parent.is_dir() else str(path.parent)
    found = [Path(match) for match in sorted(glob.glob(f"{parent}/{path.name}"))]
    if not found:
        raise ConfigError(
            "There is nothing at the path", where=where, got=pattern, expected=f"{KINDS}, or a pattern for several"
        )
    return found
