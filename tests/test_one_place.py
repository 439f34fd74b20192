"""What is done in one place alone: deleting, ending the process, printing, going below frameworks' public names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scd_lightning
from scd_lightning.training import private_parts

PACKAGE = Path(scd_lightning.__file__).parent
# What is called -> the files that may.
PLACES = {
    "deletes": (
        {"rmtree", "unlink", "rmdir", "removedirs"},
        {"store/removal.py"},
    ),
    # The last three hand `main`'s code over; Hydra lets a callback end a sweep that can't begin by an exception alone.
    "ends the process": (
        {"_exit", "exit", "abort", "SystemExit"},
        {"launch/ranks.py", "report.py", "store/__main__.py", "cli/search_end.py"},
    ),
    "prints": (
        {"print", "Console", "input"},
        {"progress.py", "cli/store.py"},
    ),
}


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Names of what a file calls, the last part of each, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", ""), node.lineno


@pytest.mark.parametrize("what", PLACES)
def test_one_place(what):
    names, places = PLACES[what]
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        for name, line in calls(path):
            if name in names and file not in places:
                wrong.append(f"{file}:{line} calls {name}")
    assert not wrong, "\n".join(wrong)


def test_no_number_of_an_exit_code_stands_elsewhere():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name, value in _set(node):
                if "exit_code" in name and isinstance(value, ast.Constant) and value.value not in (0, None):
                    wrong.append(f"{path.relative_to(PACKAGE)}:{value.lineno} sets {name} to {value.value!r}")
    assert not wrong, "\n".join(wrong)


def _set(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield ast.unparse(target), node.value


def test_private_parts_of_frameworks_are_touched_in_one_file():
    below = re.compile(r"\b(trainer|optimizer|fit_loop|epoch_loop|loop|strategy)\._(?!_)\w+")
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if below.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"training/private_parts.py"}


def test_they_were_tried_on_the_versions_that_are_pinned():
    lines = (PACKAGE.parent / "constraints.txt").read_text(encoding="utf-8").split()
    pins = dict(line.split("==") for line in lines if "==" in line)
    tried = (private_parts.__doc__ or "").split("Tried on ")[1]
    assert f"Lightning {pins['lightning']} and torch {pins['torch']}." in tried
