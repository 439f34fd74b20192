"""Imports go one way, and the heavy frameworks stay where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scd_lightning

PACKAGE = Path(scd_lightning.__file__).parent
ROOT = PACKAGE.parent

# A part imports from those before it. docs/architecture.md has them with a line each.
ORDER = (
    "redaction",
    "errors",
    "distributed",
    "progress",
    "lm_head",
    "batch",
    "config",
    "store",
    "launch",
    "run_folder",
    "losses",
    "teachers",
    "schedules",
    "data",
    "tasks",
    "models",
    "existing",
    "loggers",
    "training",
    "analysis",
    "use",
    "serving",
    "pipeline",
    "cli",
    "report",
    "__main__",
)
LEVEL = {part: level for level, part in enumerate(ORDER)}
# Why a part imports from a later one nevertheless.
EXCEPTIONS = {("store", "cli"): "`python -m scd_lightning.store` is a command, named after what it is about"}
# The parts that may import a framework.
ALLOWED = {
    "hydra": {"cli", "config", "launch"},
    "omegaconf": {"cli", "config", "launch"},
    "lightning": {"pipeline", "training", "data", "loggers"},
    "pytorch_lightning": set(),
    "torch": set(ORDER) - {"analysis", "cli", "config", "errors", "progress", "report"},
}


def part_of(path: Path) -> str:
    """The package or top-level module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """All modules that a file imports, inside functions too, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            module = node.module or ""
            if module == "scd_lightning":
                yield from ((f"scd_lightning.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield module, node.lineno


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
IMPORTS = [
    (path, module, f"{path.relative_to(ROOT)}:{line} imports {module}")
    for path in FILES
    for module, line in imports(path)
]


def test_every_part_has_a_place_in_the_order():
    assert {part_of(path) for path in FILES} == set(ORDER)


def test_imports_go_one_way():
    wrong = []
    for path, module, line in IMPORTS:
        own, parts = part_of(path), module.split(".")
        if parts[0] != "scd_lightning" or parts[1] == own:
            continue
        if LEVEL[parts[1]] > LEVEL[own] and (own, parts[1]) not in EXCEPTIONS:
            wrong.append(line)
    assert not wrong, "\n".join(wrong)


def test_no_two_files_have_one_name():
    """But for `cli/X`, which may have the name of what it commands."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        place = path.relative_to(PACKAGE)
        if place.parts[0] != "cli" and len(place.parts) > 1 and not path.name.startswith("__"):
            places.setdefault(path.name, []).append(str(place))
    twins = {name: found for name, found in places.items() if len(found) > 1}
    assert not twins


def test_few_modules_lie_beside_the_folders():
    assert len([path for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]) <= 6
    assert len(EXCEPTIONS) <= 3


@pytest.mark.parametrize("framework", ALLOWED)
def test_frameworks_stay_where_they_belong(framework):
    wrong = [
        line
        for path, module, line in IMPORTS
        if module.split(".")[0] == framework and part_of(path) not in ALLOWED[framework]
    ]
    assert not wrong, "\n".join(wrong)


def test_run_py_hands_over_at_once():
    own = {module for module, _ in imports(ROOT / "run.py") if module.startswith("scd_lightning")}
    assert own == {"scd_lightning.cli.main"}


def test_importing_the_command_line_costs_no_framework():
    """`--help` and a bad override answer at once: run.py's imports reach no torch while modules are loaded."""
    seen, queue = set(), ["scd_lightning.cli.job"]
    while queue:
        module = queue.pop()
        if module in seen:
            continue
        seen.add(module)
        assert module.split(".")[0] not in {"torch", "lightning", "transformers", "datasets"}, f"through {sorted(seen)}"
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        if module.startswith("scd_lightning") and path.is_file():
            queue += _imported_at_once(path)


def _imported_at_once(path: Path) -> list[str]:
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
    return names
