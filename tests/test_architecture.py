"""docs/architecture.md is true: what it names exists, and what it shows runs."""

import ast
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, small

PACKAGE = ROOT / "scd_lightning"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", PAGE)))
FILES = dict(re.findall(r"<!-- (my_\w+/\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


def names(file: Path) -> set[str]:
    """What a file defines, methods with their class."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {f"{node.name}.{each.name}" for each in ast.walk(node) if isinstance(each, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("file", "name"), PLACES, ids=[f"{file}:{name}" for file, name in PLACES])
def test_a_place_exists(file, name):
    assert name in names(PACKAGE / file)


def test_each_part_of_the_package_has_its_line_in_the_order_of_imports():
    from tests.test_layering import ORDER

    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("## ")[0], re.MULTILINE)
    listed = [part.removesuffix("/").removesuffix(".py") for row in rows for part in re.findall(r"`([\w./]+)`", row)]
    assert [part for part in listed if part != "scd_lightning"] == list(ORDER)


@pytest.fixture
def folder(tmp_path):
    """The page's files, and data of the task that it shows."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    drawn = random.Random(0)
    words = ["red", "green", "blue", "old", "new"]
    (tmp_path / "data").mkdir()
    for split, count in (("train", 48), ("validation", 12), ("test", 14)):
        rows = []
        for index in range(count):
            first = [drawn.choice(words) for _ in range(5)]
            same = drawn.randint(0, 5)
            second = [*first[:same], *("other" for _ in range(5 - same))]
            rows.append({"first": f"{split} {index} {' '.join(first)}", "second": " ".join(second), "score": same})
        (tmp_path / "data" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def python(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{folder}:{ROOT}", "SCD_STORE": "store"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(folder: Path, *arguments: str) -> str:
    line = (f"--config-dir={folder / 'my_conf'}", *small(arguments), *arguments)
    # After what the tests themselves allow, which is not wanted here.
    kept = [each for each in line if not each.startswith("allowed_targets") or "my_parts" in each]
    return python(folder, str(ROOT / "run.py"), *kept)


@pytest.mark.slow
def test_a_method_of_ones_own_runs(folder):
    run(folder, "method=mine", "objective=squared", "allowed_targets=[my_parts]", "hydra.run.dir=run")
    schedule = json.loads((folder / "run" / "schedule.json").read_text())
    best = schedule["best_checkpoint"]
    assert [stage["checkpoint"] for stage in schedule["stages"]] == [best, max(0, best - 1)]
    assert schedule["policy"] == "Backwards"


def test_a_task_of_ones_own_is_trained_evaluated_compared_reported_and_exported(folder):
    own = ("task=pairs", "task.data.path=data", "allowed_targets=[my_parts]")
    sizes = [f"task.data.synthetic.{split}=null" for split in ("train", "validation", "test")]
    out = run(folder, "-m", *own, *sizes, "method=sft,td", "hydra.sweep.dir=sweep")
    assert "pearson on the test split" in out
    results = json.loads((folder / "sweep" / "1" / "results.json").read_text())
    assert (results["task"], results["primary_metric"]) == ("pairs", "pearson")
    assert set(results["metrics"]["student"]) == {"pearson", "accuracy", "malformed"}
    comparison = json.loads((folder / "sweep" / "comparison.json").read_text())
    assert comparison["settings"][0]["score"] == "pearson"
    card = (folder / "sweep" / "1" / "student" / "README.md").read_text()
    assert "sentence-similarity" in card
    assert "pearson" in card
    report = (folder / "sweep" / "1" / "report.html").read_text()
    assert "pearson" in report
    # A report that is rebuilt imports nobody's code unasked.
    python(folder, "-m", "scd_lightning.report", "sweep")
    assert json.loads((folder / "sweep" / "comparison.json").read_text())["settings"][0]["score"] == "sample score"
    python(folder, "-m", "scd_lightning.report", "sweep", "--allow", "my_parts")
    assert json.loads((folder / "sweep" / "comparison.json").read_text()) == comparison
