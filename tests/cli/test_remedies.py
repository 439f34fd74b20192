"""Remedies work when they are followed to the letter: what a message is about is gone then."""

import csv
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException

import scd_lightning
from scd_lightning.cli.mistakes import _PLUGINS, explain
from scd_lightning.cli.reading import read_more
from scd_lightning.cli.swept_groups import fit_to_options
from scd_lightning.config.build import check_light_parts
from scd_lightning.data.cells import list_cell
from scd_lightning.data.rows import make_row
from scd_lightning.errors import ConfigError, DataError, ScdError, StoreError
from scd_lightning.store.layout import check_place
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
    "one checkpoint that has none to agree with": Case(
        [*TASK, "task.data.unlabelled='{data}/unlabelled.jsonl'", "teacher.checkpoints=1", "unlabelled.keep=agreed"],
        "or unlabelled.keep=confident",
        {"train": rows(20), "unlabelled": [{"text": f"text {i}"} for i in range(9)]},
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
    "no answer": Case(
        ["task=qa", "task.data.path='{data}'"],
        " has models answer so",
        {
            "train": [
                {"context": f"In {i}.", "question": f"What {i}?", "answer": str(i) if i else ""} for i in range(20)
            ]
        },
        True,
    ),
    "a teacher without frozen weights": Case(
        ["teacher=hub", "teacher.path=x", "teacher.quantization=8bit"], ".lora.r=16, or "
    ),
    "and without quantization": Case(
        ["teacher=hub", "teacher.path=x", "teacher.quantization=8bit"], ".quantization=null", choose=(1, 2)
    ),
    "a vocabulary of models from scratch": Case(
        ["teacher.trim_vocabulary=true"], "teacher.trim_vocabulary=false", prepared=True
    ),
    "two places of a model": Case(["student=hub", "student.path=x", "student.gguf=y.gguf"], ".path=null or "),
    "a student in 8 bits": Case(["student.quantization=8bit"], "for less memory ", choose=(0, 3)),
    "whole layers to heal": Case(
        ["student=hub", "student.path=x", "student.heal_epochs=1"], ", or student.keep_layers to a part of "
    ),
    "a rate of no healing": Case(
        ["student=hub", "student.path=x", "student.keep_layers=2", "student.heal_lr=0.1"],
        " or more, or leave student.heal_lr out",
    ),
    "adapters to heal": Case(
        ["student=hub", "student.path=x", "student.keep_layers=2", "student.heal_epochs=1", "student.lora.r=4"],
        "student.lora.r=0, or student.heal_epochs=0",
    ),
    "all layers to heal": Case(
        ["student=embedded", "teacher=embedded", "student.keep_layers=2", "student.heal_epochs=1"],
        "student.heal_epochs=0, or keep fewer layers",
        prepared=True,
    ),
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


# Remedies of other kinds.


def test_the_help_that_messages_name(run_py):
    said = str(explain(ConfigCompositionException("something else")).remedy)
    commands = re.findall("`python run.py (.*?)`", said)
    assert commands == ["--help", "--cfg job"]
    code, out, _ = run_py("--cfg", "job")
    assert code == 0
    assert "max_length: 512" in out


def test_a_plugins_extra_is_one_of_this_package():
    extras = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in _PLUGINS:
        remedy = str(explain(MissingConfigException("it is missing", name)).remedy)
        assert shlex.split(remedy)[:5] == ["python", "-m", "pip", "install", "-e"]
        assert shlex.split(remedy)[5].strip(".[]") in extras["optional-dependencies"]


def test_a_sweep_over_those_that_have_a_setting():
    given = ["-m", "method.weighting.weight=0.5", "seed=0,1"]
    with pytest.raises(ConfigError, match="Not all options") as caught:
        fit_to_options([*given, "method=sft,td"], PACKAGE.parent / "conf")
    (having,) = re.findall("over (.*) alone", str(caught.value.remedy))
    options = ",".join(each.strip().removeprefix("method=") for each in having.split(","))
    assert fit_to_options([*given, f"method={options}"], PACKAGE.parent / "conf")


@pytest.mark.parametrize("name", ["DEVICES", "GRADIENT_CLIP_VAL", "BENCHMARK"])
def test_variables_of_lightnings_trainer(monkeypatch, name):
    monkeypatch.setenv(f"PL_TRAINER_{name}", "1")
    monkeypatch.setenv("PL_TRAINER_ACCELERATOR", "cpu")
    with pytest.raises(ConfigError, match="from the environment") as caught:
        check_light_parts(settings_of("paths.run=here"))
    unset, _, given = str(caught.value.remedy).partition("; what can be set is set by ")
    for variable in unset.split()[1:]:
        monkeypatch.delenv(variable)
    value = {"accelerator": "cpu"}.get(given.removeprefix("++trainer.").strip("="), "1")
    check_light_parts(settings_of("paths.run=here", f"{given}{value}"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["trainer=gpu", "trainer.devices=2"], "lower trainer.devices, or take "),
        (
            ["trainer.strategy={_target_: lightning.pytorch.strategies.FSDPStrategy, _partial_: true}"],
            "take trainer=ddp or trainer=fsdp; on a CPU, ",
        ),
    ],
)
def test_trainers_that_are_named_in_place_of_one(make_job, given, says):
    def check(*words: str) -> None:
        trainer = make_job(*words, prepared=False).trainer
        trainer.check_devices(launched=False)
        trainer.check_options()

    with pytest.raises(ConfigError) as caught:
        check(*given)
    assert says in str(caught.value.remedy)
    words = [word for word in overrides_in(str(caught.value.remedy)) if word.endswith("cpu")]
    assert len(words) > 1
    instead = [str(caught.value.where)] if "in its place" in str(caught.value.remedy) else []
    for word in words:
        check(*followed(given, [word], instead))


def test_a_store_elsewhere(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        check_place(tmp_path / "file" / "store")
    assert "choose another one with paths.store= or" in str(caught.value.remedy)
    check_place(Path(settings_of("paths.run=here", f"paths.store='{tmp_path / 'other (2)'}'")["paths"]["store"]))


def test_a_table_of_numpys_lists_is_written_as_the_remedy_says(tmp_path):
    file, column = tmp_path / "train.csv", [["a", "b"], [1, 2], [{"start": 0, "label": "X"}]]
    row = make_row({"tags": str(numpy.array(column[0]))}, "train", 1, str(file))
    with pytest.raises(DataError, match="save the table as Parquet, or before it becomes CSV") as caught:
        list_cell(row, "tags")
    (line,) = re.findall(r"CSV: (frame.*)$", str(caught.value.remedy))
    made = f"frame = pandas.DataFrame({{'tags': [numpy.array(each) for each in {column}]}})"
    script = f"import json, numpy, pandas\n{made}\n{line}\nframe.to_csv({str(file)!r}, index=False)"
    subprocess.run([sys.executable, "-c", script], check=True)
    with file.open() as lines:
        assert [json.loads(each["tags"]) for each in csv.DictReader(lines)] == column


@pytest.mark.parametrize(
    ("template", "mended"),
    [("Class:", "{text} Class:"), ("{text} {sum}", "{text} {{sum}}"), ("{text} {", "{text} {{")],
)
def test_a_template_is_mended_as_the_remedy_says(make_job, template, mended):
    with pytest.raises(ConfigError, match=r"Where: task\.template") as caught:
        make_job("task=classification", f"task.template='{template}'")
    named = "write a literal brace twice" if "{{" in mended else "write {text} where the row's own is to stand"
    assert named in str(caught.value.remedy)
    make_job("task=classification", f"task.template='{mended}'")
