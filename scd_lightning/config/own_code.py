"""Which code a configuration names: numbers depend on it as they do on settings.

A class of an installed distribution is known by its version. One's own code has none, and is known by what stands in
its file and in all files that this one imports from the folder it lies in. This package's code is known by its numeric
format, and is left out.
"""

import ast
import importlib.metadata
import inspect
import platform
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from scd_lightning.config.definitions import defined_as
from scd_lightning.config.targets import find_target, targets_in
from scd_lightning.errors import ConfigError

_PACKAGE = __name__.partition(".")[0]


def codes(values: Any, allowed: Sequence[str], where: str) -> dict[str, Any]:
    """The code of all that a part of a configuration names.

    Args:
        values: The part, as plain values.
        allowed: The user's `allowed_targets`.
        where: Its place in the configuration, for messages.

    Returns:
        Each class or function that is none of this package's, with what tells its code from other code: JSON values
        without paths of this machine.

    Raises:
        ConfigError: There is no such class or function, or its code is in no file.
    """
    found: dict[str, Any] = {}
    for place, path in targets_in(values, where):
        target = find_target(path, allowed, place)
        if (root := _module(target).partition(".")[0]) != _PACKAGE:
            found[defined_as(target)] = _code(root, _module(target), place)
    return dict(sorted(found.items()))


def _module(target: object) -> str:
    """The module in which a target was defined, which may be none that its path names."""
    while hasattr(target, "func"):
        target = target.func
    return getattr(target, "__module__", None) or type(target).__module__


def _code(root: str, module: str, where: str) -> Any:
    if root in sys.stdlib_module_names:
        return {"python": platform.python_version()}
    file = _file(module)
    if file is None:
        raise ConfigError(
            "The code of a class is in no file, so that nothing tells it from other code",
            where=where,
            got=module,
            expected="a class in a module of its own, which is imported",
        )
    installed = _distribution(root, file)
    return {installed[0]: installed[1]} if installed else sources(file, _folder(module, file))


def _file(module: str) -> Path | None:
    found = sys.modules.get(module)
    try:
        file = inspect.getsourcefile(found) if found is not None else None
    except TypeError:  # Compiled code.
        file = None
    file = file or getattr(found, "__file__", None)
    return None if file is None or not Path(file).is_file() else Path(file).resolve()


def _folder(module: str, file: Path) -> Path:
    """Where the module's outermost package lies, or the module itself."""
    depth = module.count(".") + (file.stem == "__init__")
    return file.parents[depth]


def _distribution(root: str, file: Path) -> tuple[str, str] | None:
    """Name and version of the installed distribution that a file belongs to; None for one's own, editable ones too."""
    if not any(file.is_relative_to(folder) for folder in _site_folders()):
        return None
    try:
        return root, importlib.metadata.version(root)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(root)
        return None if not names else (names[0], importlib.metadata.version(names[0]))


@cache
def _site_folders() -> tuple[Path, ...]:
    paths = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    return tuple(Path(path).resolve() for path in {*paths, *site.getsitepackages(), site.getusersitepackages()})


def sources(file: Path, folder: Path) -> dict[str, str]:
    """Digests of a module's file and of all that it imports from a folder, whether or not a line is reached.

    Args:
        file: The file.
        folder: The folder that its imports are looked for in.

    Returns:
        Path below the folder -> SHA-256.
    """
    found: dict[str, str] = {}
    left = [file, *_packages(file.parent, folder)]
    while left:
        path = left.pop()
        name = path.relative_to(folder).as_posix()
        if name not in found:
            content = path.read_bytes()
            found[name] = sha256(content).hexdigest()
            left += [each for each in _imported(content, path, folder) if each.is_file()]
    return dict(sorted(found.items()))


def _packages(inner: Path, folder: Path) -> list[Path]:
    """The `__init__.py` of a package and of those around it, which an import runs too."""
    around = [inner, *inner.parents]
    return [path for each in around[: around.index(folder)] if (path := each / "__init__.py").is_file()]


def _imported(content: bytes, path: Path, folder: Path) -> Iterator[Path]:
    for node in _nodes(content) if path.suffix == ".py" else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(folder, alias.name, folder)
        elif isinstance(node, ast.ImportFrom):
            start = path.parents[node.level - 1] if node.level else folder
            for alias in node.names:  # Each may be a module, or something in one.
                yield from _modules(start, ".".join(filter(None, [node.module, alias.name])), folder)


def _nodes(content: bytes) -> Iterator[ast.AST]:
    """What a file is made of; nothing of one that Python can't read, which so imports nothing."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        yield from ast.walk(ast.parse(content))


def _modules(start: Path, name: str, folder: Path) -> Iterator[Path]:
    """The files that an import of a dotted name may run."""
    place = start
    if not start.is_relative_to(folder) or (start == folder and name.partition(".")[0] == _PACKAGE):
        return
    for part in name.split("."):
        place = place / part
        yield place.with_suffix(".py")
        yield place / "__init__.py"
