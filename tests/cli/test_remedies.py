"""Remedies work when they are followed to the letter: what a message is about is gone then.

Each override and each command that the package's texts name is held against the configuration, too.
"""

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException

import scd_lightning
from scd_lightning.cli.mistakes import explain
from scd_lightning.cli.reading import read_more
from scd_lightning.cli.report import _parser as report_parser
from scd_lightning.cli.store import _parser as store_parser
from scd_lightning.config.build import check_calls, check_light_parts
from scd_lightning.errors import ScdError
from tests.cli.test_text_settings import settings_of

read_more()
PACKAGE = Path(scd_lightning.__file__).parent
ROW = {"text": "note {}", "label": "{}"}
OVERRIDE = re.compile(
    r"""'\+{0,2}[\w.]+=(?:[^']|'"'"')*'|(?<![\w.'"/-])\+{0,2}[a-z_]+(?:\.\w+)*=(?:\[[^\]\s]*\]|[^\s,;:)'"`\[]+)"""
)


def overrides_in(text: str) -> list[str]:
    """Those that a text names, as a shell hands them over."""
    return [word for found in OVERRIDE.findall(text) for word in shlex.split(found.rstrip("."))]


def rows(
    count: int, *more: dict[str, Any], label: Callable[[int], Any] = lambda i: "ab"[i % 2]
) -> list[dict[str, Any]]:
    return [{"text": f"note {i}", "label": label(i)} for i in range(count)] + list(more)


@dataclass(frozen=True)
class Case:
    """A mistake, and the message that it leads to.

    Attributes:
        given: Overrides; {data} is the folder of the splits.
        says: What its remedy says, without what depends on the case.
        splits: Name of a file -> its rows.
        prepared: Whether it takes more than the configuration.
        choose: Which of the overrides that the remedy names are followed.
        adds: What the reader fills in behind those that end in =, or puts for a name.
    """

    given: Sequence[str]
    says: str
    splits: dict[str, list[dict[str, Any]]] | None = None
    prepared: bool = False
    choose: tuple[int, int] = (0, 1)
    fills: tuple[str, str] = ("", "")


TASK = ("task=classification", "task.data.path='{data}'")
CASES = {
    "an unknown setting": Case(["student.optimizer.eps=1e-9"], "takes a +, as in", fills=("eps=", "eps=1e-9")),
    "what may not be called": Case(
        ["+callbacks.mine={_target_: torch.nn.Identity, _partial_: true}", "allowed_targets=[conftest]"],
        "if you trust it, and whoever wrote the configuration: ",
    ),
    "labels without an order": Case(["task=classification", "task.ordered=true"], "pass task.labels=[low,medium,high]"),
    "a missing value": Case(
        TASK, "task.data.on_bad_row=skip leaves such rows out", {"train": rows(20, {"text": "x", "label": None})}, True
    ),
    "a column of another name": Case(
        TASK,
        "a column of another name: ",
        {"train": [{"text": each["text"], "Queue (EN), 2": each["label"]} for each in rows(20)]},
        True,
        fills=("{name:", '{"Queue (EN), 2":'),
    ),
    "a sample in two splits": Case(
        TASK, "or pass task.data.allow_overlap=true to", {"train": rows(20), "test": rows(2), "validation": []}, True
    ),
    "a text in two splits": Case(
        [*TASK, "task.data.unlabelled='{data}/unlabelled.jsonl'"],
        "or pass task.data.allow_overlap=true to",
        {"train": rows(20), "unlabelled": [{"text": f"note {i}"} for i in range(30)]},
        True,
    ),
    "labels that look alike": Case(
        [*TASK, 'task.labels=["it\'s","b\\c",yes]'],
        "write it as there; ",
        {"train": rows(21, label=lambda i: ("It's", "b\\c", "YES")[i % 3])},
        True,
    ),
    "splits with other spellings": Case(
        TASK,
        "write them in one way; ",
        {
            "train": rows(8, label=lambda i: ("it's", "no")[i % 2]),
            "test": [{"text": f"test {i}", "label": ("IT'S", "NO")[i % 2]} for i in range(4)],
            "validation": [{"text": f"validation {i}", "label": ("it's", "no")[i % 2]} for i in range(4)],
        },
        True,
    ),
    "one file of another name": Case(TASK, " takes that file as train", {"mails (v2), new": rows(20)}, True),
    "no closed answers": Case(
        ["task=qa", "task.format=yes_no", "task.data.path='{data}'"],
        "or pass task.format=extractive",
        {"train": [{"context": f"In {i} it rained.", "question": f"What {i}?", "answer": f"{i}"} for i in range(20)]},
        True,
    ),
    "a teacher without frozen weights": Case(
        ["teacher=hub", "teacher.path=x", "teacher.quantization=8bit"], ".lora.r=16, or "
    ),
    "and without quantization": Case(
        ["teacher=hub", "teacher.path=x", "teacher.quantization=8bit"], ".quantization=null", choose=(1, 2)
    ),
    "two places of a model": Case(["student=hub", "student.path=x", "student.gguf=y.gguf"], ".path=null or "),
    "a student in 8 bits": Case(["student.quantization=8bit"], "for less memory ", choose=(0, 3)),
    "a long training sample": Case(["budget.batch_tokens=20"], " or more, or a lower task.max_length", prepared=True),
    "a logger of Lightning's": Case(
        ["+logger.w={_target_: lightning.pytorch.loggers.WandbLogger, _partial_: true}"],
        "in its place logger=wandb, which makes",
    ),
}


@pytest.fixture
def told(make_job, tmp_path):
    """The error that overrides lead to, as run.py tells it; None without."""

    def call(case: Case, given: Sequence[str]) -> ScdError | None:
        words = [each.replace("{data}", str(tmp_path / "data")) for each in given]
        try:
            check_light_parts(settings_of("paths.run=here", *words))
            make_job(*words, prepared=case.prepared)
        except HydraException as error:
            return explain(error)
        except ScdError as error:
            return error
        return None

    return call


def followed(given: Sequence[str], words: Sequence[str], instead: Sequence[str]) -> list[str]:
    """Overrides with others, which go in the place of those for the same setting or group, and of those named."""
    new = {word.lstrip("+").partition("=")[0] for word in words} | set(instead)
    return [*(each for each in given if each.lstrip("+").partition("=")[0] not in new), *words]


@pytest.mark.parametrize("name", CASES)
def test_an_override_that_a_remedy_names_helps(told, tmp_path, name):
    case = CASES[name]
    (tmp_path / "data").mkdir()
    for split, lines in (case.splits or {}).items():
        if lines:
            (tmp_path / "data" / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in lines))
    error = told(case, case.given)
    assert error is not None
    assert case.says in str(error.remedy)
    words = overrides_in(str(error.remedy).replace(*case.fills))[slice(*case.choose)]
    assert words, error.remedy
    instead = [str(error.where)] if "in its place" in str(error.remedy) else []
    after = told(case, followed(case.given, words, instead))
    assert after is None or after.what != error.what, (words, str(after))


# All texts of the package: what they name exists, and what they give is a value that fits.

KINDS = (
    ["task=classification", "method=scd_aw"],
    ["task=qa", "teacher=hub", "teacher.path=x", "student=hub", "student.path=x", "logger=wandb"],
)
# What stands for what the reader or the message fills in.
PLACES = {"CLASS": "EarlyStopping", "NAME": "mine", "ARGUMENT: ...": "monitor: x", "<commit>": "main", "FOLDER": "out"}
ROLES = ("role", "spec.role", "self.role", "where", "where.partition('.')[0]", "part")
GROUP = re.compile(
    r"\+{0,2}(task|teacher|student|method|budget|trainer|logger|callbacks|paths|resume|unlabelled|debug)\b"
)


def texts() -> Iterator[str]:
    """Each text of the package but docstrings and what was got; what is put into it in braces."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        parts = {id(part) for node in whole for part in ast.walk(node) if part is not node}
        apart = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr | ast.keyword) and _is_apart(node))
        parts |= {id(part) for node in apart for part in ast.walk(node)}
        yield from (_text(node) for node in ast.walk(tree) if id(node) not in parts and _is_text(node))


def _is_apart(node: ast.Expr | ast.keyword) -> bool:
    return node.arg in ("got", "where") if isinstance(node, ast.keyword) else isinstance(node.value, ast.Constant)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return _filled("".join(map(_text, node.values)))
    if isinstance(node, ast.FormattedValue):
        inside = ast.unparse(node.value)
        return "teacher" if inside in ROLES else "8" if inside.isidentifier() or "*" in inside else "{}"
    assert isinstance(node, ast.Constant)
    return _filled(node.value)


def _filled(text: str) -> str:
    for place, example in PLACES.items():
        text = text.replace(place, example)
    return text


def batches(words: Iterable[str]) -> Iterator[list[str]]:
    """Overrides with one for each group at a time, so that a composition tries several."""
    by_group: dict[str, list[str]] = {}
    for word in dict.fromkeys(words):
        by_group.setdefault(GROUP.match(word)[1], []).append(word)
    for several in zip_longest(*by_group.values()):
        yield [word for word in several if word is not None]


def misfit(words: list[str], kind: list[str]) -> Exception | None:
    """Why overrides don't compose, or what they give is of the wrong type."""
    try:
        settings = settings_of("paths.run=here", *followed(kind, words, []))
        for group in ("task", "teacher", "student", "method", "budget", "resume", "unlabelled", "callbacks"):
            check_calls(settings[group], group, [])
    except (HydraException, ScdError) as error:
        return error
    return None


def test_overrides_that_texts_name_fit():
    every = (word for text in texts() for word in overrides_in(text))
    named = [word for word in every if GROUP.match(word) and "{}" not in word and not re.fullmatch(r"\w+=8", word)]
    assert len(set(named)) > 50
    for words in batches(named):
        if not any(misfit(words, kind) is None for kind in KINDS):
            wrong = {word: each for word in words if all(each := [misfit([word], kind) for kind in KINDS])}
            assert not wrong


def test_commands_that_texts_name_are_there():
    command = re.compile(r"python -m scd_lightning\.(store|report)((?: [\w./-]+)+)")
    found = {(each[1], each[2]) for text in texts() for each in command.finditer(text.replace("{}", "x"))}
    assert len(found) > 4
    for name, words in found:
        {"store": store_parser, "report": report_parser}[name]().parse_args(words.split())
