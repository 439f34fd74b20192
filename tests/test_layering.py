"""Imports go one way, and the heavy frameworks stay where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scd_lightning

PACKAGE = Path(scd_lightning.__file__).parent
ROOT = PACKAGE.parent

# A module imports from layers below its own, and from its own.
LAYERS = (
    {
        "launch",
        "endings",
        "config",
        "command_line",
        "default_models",
        "processes",
        "rank_failures",
        "ranks",
        "report",
        "search",
        "side_by_side",
        "smoke",
        "sweeps",
    },
    {"pipeline"},
    {"callbacks", "models", "existing", "data", "analysis", "export", "loggers"},
    {"losses", "schedules", "checkpoints", "teachers", "metrics", "store"},
    {
        "arguments",
        "batch",
        "errors",
        "lm_head",
        "distributed",
        "preemption",
        "progress",
        "quiet",
        "redaction",
        "targets",
    },
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# Packages of a common layer that know of one another nevertheless, in this direction.
SIDEWAYS = {
    ("callbacks", "models"),
    ("callbacks", "loggers"),
    ("models", "data"),
    ("existing", "models"),
    ("export", "models"),
    ("teachers", "checkpoints"),
    ("teachers", "losses"),
    ("schedules", "teachers"),
    ("schedules", "losses"),
    ("launch", "config"),
    ("launch", "default_models"),
    ("smoke", "default_models"),
    ("launch", "command_line"),
    ("launch", "ranks"),
    ("launch", "smoke"),
    ("launch", "endings"),
    ("launch", "rank_failures"),
    ("endings", "ranks"),
    ("endings", "rank_failures"),
    ("ranks", "processes"),
    ("ranks", "command_line"),
    ("default_models", "command_line"),
    ("smoke", "command_line"),
    ("ranks", "rank_failures"),
    ("smoke", "config"),
    ("sweeps", "command_line"),
    ("sweeps", "launch"),
    ("sweeps", "ranks"),
    ("sweeps", "search"),
    ("sweeps", "side_by_side"),
    ("launch", "search"),
    ("store", "checkpoints"),
    ("arguments", "errors"),
    ("targets", "errors"),
    ("progress", "distributed"),
    ("distributed", "errors"),
    ("preemption", "errors"),
}
# The parts that may import a framework.
ALLOWED = {
    "hydra": {"launch", "config", "command_line", "default_models", "ranks", "search", "smoke", "sweeps", "targets"},
    "omegaconf": {"launch", "config", "command_line", "default_models", "sweeps"},
    "lightning": {"pipeline", "callbacks", "models", "data", "loggers"},
    "pytorch_lightning": set(),
    "torch": set(LEVEL) - {"analysis", "command_line", "config", "errors", "progress", "store", "targets"},
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


def test_every_part_has_a_layer():
    assert {part_of(path) for path in FILES} <= set(LEVEL)


def test_imports_go_one_way():
    wrong = []
    for path, module, line in IMPORTS:
        own, parts = part_of(path), module.split(".")
        if parts[0] != "scd_lightning" or parts[1] == own:
            continue
        down = LEVEL[parts[1]] > LEVEL[own]
        if not down and (own, parts[1]) not in SIDEWAYS:
            wrong.append(line)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("framework", ALLOWED)
def test_frameworks_stay_where_they_belong(framework):
    wrong = [
        line
        for path, module, line in IMPORTS
        if module.split(".")[0] == framework and part_of(path) not in ALLOWED[framework]
    ]
    assert not wrong, "\n".join(wrong)


def test_run_py_hands_over_at_once():
    own = {module.partition(".")[2] for module, _ in imports(ROOT / "run.py") if module.startswith("scd_lightning")}
    assert own == {"launch", "command_line", "preemption", "ranks"}


def test_importing_the_command_line_costs_no_framework():
    """`--help` and a bad override answer at once: run.py's imports reach no torch while modules are loaded."""
    seen, queue = set(), ["scd_lightning.launch"]
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
