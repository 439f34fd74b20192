"""What is done in one place alone: deleting, ending the process, printing, opening files of other programs, going below
frameworks' public names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scd_lightning
from scd_lightning.training import private_parts

PACKAGE = Path(scd_lightning.__file__).parent
# What is called, by its last name or by more of it -> the files that may, and folders (with a stroke at their end).
PLACES = {
    "deletes": (
        {"rmtree", "unlink", "rmdir", "removedirs", "os.remove"},
        {"store/removal.py"},
    ),
    # The last three hand `main`'s code over; Hydra lets a callback end what can't begin by an exception alone.
    "ends the process": (
        {"_exit", "exit", "abort", "SystemExit"},
        {"launch/ranks.py", "report.py", "store/__main__.py", "__main__.py", "cli/command.py", "cli/endings.py"},
    ),
    "prints": (
        {"print", "print_json", "Console", "input", "rprint", "stdout.write", "stderr.write"},
        {"progress.py"},
    ),
    # Of a tokenizer that was trained here and lies in our own store.
    "reads a model or tokenizer": (
        {"from_pretrained"},
        {"models/foreign.py", "models/tokenizers.py"},
    ),
    # All but the first are of our own store and saved states.
    "reads tensors": (
        {"torch.load", "safe_open", "load_file", "pickle.load", "pickle.loads", "joblib.load"},
        {"models/foreign.py", "store/", "teachers/signals.py", "training/resume/state_io.py"},
    ),
    # The second is about rows; the third, and those of models, about a tokenizer in memory; the rest, what runs left.
    "reads JSON or YAML": (
        {"json.load", "json.loads", "yaml.load", "yaml.safe_load", "OmegaConf.load"},
        {"models/foreign.py", "data/json_text.py", "data/literal_text.py", "pipeline/predict.py"}
        | {"models/tokenizers.py", "models/trimming.py", "models/gguf.py"}
        | {"store/", "training/", "analysis/"},
    ),
}


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """What a file calls, with all that stands before the name, and the lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield f".{ast.unparse(node.func)}", node.lineno


@pytest.mark.parametrize("what", PLACES)
def test_one_place(what):
    names, places = PLACES[what]
    ends = tuple(f".{name}" for name in names)
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        for name, line in calls(path):
            if name.endswith(ends) and not file.startswith(tuple(places)):
                wrong.append(f"{file}:{line} calls {name[1:]}")
    assert not wrong, "\n".join(wrong)


def test_one_function_writes_to_standard_output():
    tree = ast.parse((PACKAGE / "progress.py").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert {each.name for each in functions if ".print(" in ast.unparse(each)} == {"_write"}


def test_no_text_is_read_as_markup():
    markup = {"from_markup", "render_markup", "render_str", "escape"}
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} calls {name[1:]}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "from rich" in path.read_text(encoding="utf-8")
        for name, line in calls(path)
        # A printer without markup hands its own texts on.
        if name.rpartition(".")[2] in markup and name != ".super().render_str"
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("what", PLACES)
def test_each_place_is_one(what):
    names, places = PLACES[what]
    ends = tuple(f".{name}" for name in names)
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    for place in places:
        found = [name for file, path in files.items() if file.startswith(place) for name, _ in calls(path)]
        assert any(name.endswith(ends) for name in found), place


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
