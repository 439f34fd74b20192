"""What the package's texts name: overrides that fit, commands that are there, remedies that a test follows."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TypeGuard

from hydra.errors import HydraException

from scd_lightning.cli.evaluate import _parser as evaluate_parser
from scd_lightning.cli.export import _parser as export_parser
from scd_lightning.cli.predict import _parser as predict_parser
from scd_lightning.cli.report import _parser as report_parser
from scd_lightning.cli.serve import _parser as serve_parser
from scd_lightning.cli.store import _parser as store_parser
from scd_lightning.config.build import check_calls
from scd_lightning.errors import ScdError
from tests.cli.test_remedies import CASES, PACKAGE, followed, overrides_in
from tests.cli.test_text_settings import settings_of

PARSERS = {
    "store": store_parser,
    "report": report_parser,
    "predict": predict_parser,
    "evaluate": evaluate_parser,
    "export": export_parser,
}
PARSERS |= {"serve": serve_parser}
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
        # In what is said of a command's use, its own name.
        own = f"python -m scd_lightning.{path.stem}"
        found = (_text(node) for node in ast.walk(tree) if id(node) not in parts and _is_text(node))
        yield from (text.replace("{program}", own) for text in found)


def _is_apart(node: ast.Expr | ast.keyword) -> bool:
    return node.arg in ("got", "where") if isinstance(node, ast.keyword) else isinstance(node.value, ast.Constant)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return _filled("".join(map(_text, node.values)))
    if isinstance(node, ast.FormattedValue):
        inside = ast.unparse(node.value)
        if ran := re.search(r"program\('(\w+)'\)", inside):
            return f"python -m scd_lightning.{ran[1]}"
        return "teacher" if inside in ROLES else "8" if inside.isidentifier() or "*" in inside else "{}"
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return _filled(node.value)


def _filled(text: str) -> str:
    for place, example in PLACES.items():
        text = text.replace(place, example)
    return text


def batches(words: Iterable[str]) -> Iterator[list[str]]:
    """Overrides with one for each group at a time, so that a composition tries several."""
    by_group: dict[str, list[str]] = {}
    for word in dict.fromkeys(words):
        group, *_ = GROUP.findall(word)
        by_group.setdefault(group, []).append(word)
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
    command = re.compile(
        r"python -m scd_lightning\.(store|report|predict|evaluate|serve)((?: (?:[\w./-]+|\"[^\"]*\"|\w+=\w+))+)"
    )
    found = {(each[1], each[2]) for text in texts() for each in command.finditer(text.replace("{}", "x"))}
    assert len(found) > 4
    for name, words in found:
        PARSERS[name]().parse_args(words.split())


# Where else remedies with a setting or a command are followed, by a part of each; or why there is nothing to follow.
ELSEWHERE = {
    "put quotes around values with spaces": "tests/cli/test_commands.py",
    "python -m pip install -e '.[{}]'": "tests/cli/test_remedies.py",
    "give it to a sweep over ": "tests/cli/test_remedies.py",
    "; what can be set is set by ++trainer.": "tests/cli/test_remedies.py",
    ".allow_pickle=true": "tests/models/test_loading.py",
    ".trust_remote_code=true, with ": "tests/models/test_loading.py",
    "take trainer=gpu, which has bf16-mixed": "it takes a GPU",
    "python -m pip install {}": "it takes the network",
    "python -m pip install 8": "it takes the network",
    "python -m pip install compressed-tensors": "it takes the network",
    "take both models from one family": "it takes the network",
    "name the one that ends its answers: ": "tests/models/test_tokenizers.py",
    ", which cuts longer texts": "tests/pipeline/test_model_checks.py",
    "task.max_new_tokens=8 with ": "tests/pipeline/test_model_checks.py",
    "trainer.precision=bf16-mixed": "tests/pipeline/test_model_checks.py",
    ".dtype=float32": "tests/pipeline/test_model_checks.py",
    "halve float32 signals with ": "it takes a full disk",
    "choose another one with paths.store= or ": "tests/cli/test_remedies.py",
    "free some disk space, choose another folder": "it takes a full disk",
    "lower trainer.devices, or take ": "tests/cli/test_remedies.py",
    "start it by torchrun --nnodes=": "it takes several machines",
    ".PlacedStrings}]' gives each the ": "tests/data/test_annotations.py",
    ".TaggedTokens, tags: mine}]'": "tests/data/test_tagging.py",
    "; as texts without: task.data.unlabelled=": "tests/data/test_text_lines.py",
    "; as texts without labels: task.data.unlabelled=": "tests/data/test_label_studio.py",
    "name it for all of them, as in hydra.run.dir=": "tests/run_folder",
    "choose another folder by ": "tests/run_folder",
    "set a variable of the environment, say SECRET": "tests/cli/test_hydra_secrets.py",
    "choose another folder for the run with hydra.run.dir=": "tests/cli/test_own_folder.py",
    "choose another folder with teacher=, or move these": "tests/store/test_removal.py",
    "take trainer=ddp or trainer=fsdp; ": "tests/cli/test_remedies.py",
    "make one with `python -c ": "tests/cli/test_serve.py",
    "pass {}=<value>": "what it is to be is the user's to say",
    "or set a UTF-8 locale, such as ": "it takes another locale",
    "Give it fewer epochs than teacher.epochs=": "advice about results",
}


def remedies() -> Iterator[str]:
    """The texts that errors are given as remedies, and those that variables named so have."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "remedy" or _is_assigned(node, "remedy"):
                yield from map(_text, _texts_in(node.value))


def _is_assigned(node: ast.AST, name: str) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and name in ast.unparse(node.targets[0]).lower()


def _texts_in(node: ast.AST) -> Iterator[ast.AST]:
    if _is_text(node):
        yield node
    else:
        for part in ast.iter_child_nodes(node):
            yield from _texts_in(part)


def test_each_remedy_that_names_a_setting_or_a_command_is_followed():
    parts = [*(case.says for case in CASES.values()), *ELSEWHERE]
    named = [text for text in remedies() if re.search(r"=|python", text)]
    assert not [text for text in named if not any(part in text for part in parts)]
    assert not [part for part in ELSEWHERE if not any(part in text for text in named)]
