"""Every setting is part of some artifact's key, or of the list of those that change no number, with the reason."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import scd_lightning
from scd_lightning.cli.built_job import build_job
from scd_lightning.config.build import GROUPS
from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import plan

CONF = Path(scd_lightning.__file__).parents[1] / "conf"
# Settings, or parts of the configuration, that are in no key, and the code that makes it so.
CHANGES_NO_NUMBER = {
    "logger": "told of values, asked for none: loggers/job_loggers.py:JobLogger",
    "paths": "where, not what: store/artifacts.py:ArtifactStore",
    "resume": "gone on equals in one piece, see tests/faults: training/resume/resumption.py:Resumption",
    "phases": "which of the artifacts are made: pipeline/runner.py:wanted",
    "allowed_targets": "what may be named, not what is: config/targets.py:find_target",
    "evaluate.base": "which models answer; each answer has its own key: pipeline/runner.py:plan",
    "task.name": "a word in tables: tasks/task.py:Task",
    "method.name": "a word in tables: pipeline/method.py:Method",
    "budget.warn": "whether doubts are said: analysis/run/convergence.py:doubts",
    "trainer.accelerator": "a digest knows no device: pipeline/keys.py:_trainer",
    "trainer.devices": "two processes equal one, see tests/launch: data/batching.py:BatchPlan",
    "trainer.num_nodes": "as devices: data/batching.py:BatchPlan",
    "trainer.strategy": "as devices: training/trainer.py:TrainerFactory",
    "trainer.micro_batches": "shares of a step add up, see test_equivalence.py: losses/objective.py:Objective",
    "trainer.wait_minutes": "how long processes wait for one another: launch/processes.py",
    "trainer.log_every_n_steps": "how often values are told: training/callbacks/stage_log.py:StepLog",
}
for role in ("teacher", "student"):
    CHANGES_NO_NUMBER |= {
        f"{role}.name": "a word in tables: models/spec.py:ModelSpec",
        f"{role}.gradient_checkpointing": "the same numbers in less memory: models/loading.py:build_model",
        f"{role}.trust_remote_code": "whether it is had; known by its files: models/loading.py:weights_identity",
        f"{role}.allow_pickle": "whether it is had; known by its files: models/loading.py:weights_identity",
    }
# Settings that say which rows there are, or how they are made the task's: the rows themselves are in the keys.
BY_THE_ROWS = {
    *("task.data.path", "task.data.hub", "task.data.columns", "task.data.converters", "task.data.allow_overlap"),
    *("task.data.on_bad_row", "task.data.validation_ratio", "task.data.test_ratio", "task.data.split_seed"),
    *("task.data.split_note", "task.data.group_column", "task.data.max_samples", "task.data.unlabelled"),
    *("task.data.synthetic", "task.format"),
}
# Where the models come from: known by the contents of their files, as tests/models/test_loading.py has it.
_OF_PRETRAINED = ("keep_layers", "quantization", "bos_token", "eos_token")
BY_THE_FILES = {
    *(f"{role}.{name}" for role in ("teacher", "student") for name in ("path", "gguf", "revision")),
    *("teacher.trajectory", "anchor.path"),
    # Known by the tokenizer and the folders that it leads to: see test_vocabulary.py.
    "teacher.trim_vocabulary",
    # A part of the tokenizer, of models that have a chat template: see test_vocabulary.py.
    *("task.system", "task.chat_template_kwargs"),
    # Of thinned ones alone, in a key of their own: see test_heal.py.
    *("student.heal_epochs", "student.heal_lr"),
    # Of pretrained models alone; with a model's other settings in one dictionary, as in `_model`.
    *(f"{role}.{name}" for role in ("teacher", "student") for name in _OF_PRETRAINED),
}
# Jobs that together have every other setting; each is looked at in the first that has it.
JOBS = (
    ["method=scd_aw", "task.data.synthetic.unlabelled=8"],
    ["method=td"],
    ["method=cd"],
    ["objective=jensen_shannon"],
    ["objective=skew_kl"],
    ["task=classification"],
    ["task=qa"],
)
# Parts that have no place in a key at all, and one that takes processes; callbacks are in test_keys.py.
UNTRIED = {
    "logger",
    "paths",
    "resume",
    "phases",
    "allowed_targets",
    "trainer.strategy",
    "trainer.accelerator",
    "callbacks",
}
# What a setting is changed to where neither another number nor the other of true and false will do.
OTHER: dict[str, Any] = {
    "name": "another",
    "task.primary_metric": "precision",
    "task.language": "en",
    "task.template": "{text}\nNames:\n",
    "task.max_new_tokens": 9,
    "task.validation": "task",
    "task.match": "strings",
    "task.no_answer": "none",
    "task.labels": lambda job: [*reversed(job.data.task.candidates)],
    "task.ordered": True,
    "dtype": "float64",
    "attention": "eager",
    "lora.alpha": 3,
    "lora.target_modules": ["q_proj"],
    "optimizer.betas": [0.8, 0.9],
    "batch_tokens": 5000,
    "budget.samples": 500,
    "student.init": "anchor",
    "objective.reduction": "token",
    "method.teacher": "live",
    "method.signals_dtype": "bfloat16",
    "trainer.precision": "64-true",
    "unlabelled.keep": "confident",
    "unlabelled.from": "best",
    "evaluate.split": "validation",
}
# Without the first the second plays no part; without adapters, none of theirs does.
NEEDED: dict[str, dict[str, Any]] = {"ordered": {"labels": lambda job: [*job.data.task.candidates]}}
NEEDED["pseudo_labels"] = {"policy": None, "weighting": None}
NEEDED |= {"lora.alpha": {"lora.r": 4}, "lora.dropout": {"lora.r": 4}, "lora.target_modules": {"lora.r": 4}}


def leaves(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{before}{name}.")
        elif name not in ("_target_", "_partial_"):  # A class is known by its code: see test_keys.py.
            yield f"{before}{name}", value


def listed(setting: str, names: Any) -> bool:
    return any(setting == name or setting.startswith(f"{name}.") for name in names)


@pytest.fixture(scope="module")
def jobs(make_job_in, tmp_path_factory) -> list[PreparedJob]:
    make = make_job_in(tmp_path_factory.mktemp("cover"))
    return [make(*overrides, "evaluate.base=false") for overrides in JOBS]


def test_every_setting_of_every_option_is_somewhere(jobs):
    """Of all options: those too that need a model or data which are not here."""
    known = {name for job in jobs for name, _ in leaves(job.settings)}
    written = set()
    for group in GROUPS:
        for file in (CONF / group).glob("*.yaml"):
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            # What one has in common with others comes from them; some have nothing else.
            if content.pop("defaults", None) and not content:
                continue
            written |= {name for name, _ in leaves({group: content})}
    assert len(written) > 50
    missing = {name for name in written - known if not listed(name, {*CHANGES_NO_NUMBER, *BY_THE_ROWS, *BY_THE_FILES})}
    # All of a model's architecture is in the key, whatever its fields.
    assert {name for name in missing if ".architecture" not in name} == set()


def test_what_changes_numbers_is_in_a_key_and_what_does_not_is_in_none(jobs):
    seen: set[str] = set()
    wrong = []
    for job in jobs:
        for setting, value in leaves(job.settings):
            if setting in seen or listed(setting, {*BY_THE_ROWS, *BY_THE_FILES}) or setting in ("callbacks", "phases"):
                continue
            seen.add(setting)
            if listed(setting, UNTRIED):
                continue
            if _changes(job, setting, value) == listed(setting, CHANGES_NO_NUMBER):
                wrong.append(setting)
    assert wrong == []
    assert len(seen) > 70


def _changes(job: PreparedJob, setting: str, value: Any) -> bool:
    role, _, name = setting.partition(".")
    before = {f"{role}.{needed}": other for needed, other in NEEDED.get(name, {}).items()}
    other = OTHER.get(setting, OTHER.get(name))
    if other is None and not isinstance(value, str | None):
        other = (not value) if isinstance(value, bool) else value + 1 if isinstance(value, int) else _near(value)
    assert other != value, setting
    plain = _digests(job, before) if before else {step.name: step.key.digest for step in plan(job)}
    return plain != _digests(job, before | {setting: other})


def _near(value: Any) -> Any:
    return value / 2 + 0.01 if isinstance(value, float) else value


def _digests(job: PreparedJob, changes: Mapping[str, Any]) -> dict[str, str]:
    """Digests with some settings changed; data are read anew where these are theirs."""
    settings = copy.deepcopy(dict(job.settings))
    for setting, value in changes.items():
        *place, name = setting.split(".")
        part: Any = settings
        for each in place:
            part = part[each]
        part[name] = value(job) if callable(value) else value
    made = build_job(settings, job.run_dir)
    if any(setting.startswith("task") for setting in changes):
        prepared = prepare(made)
    else:
        own = {each.name: getattr(made, each.name) for each in dataclasses.fields(made)}
        found = {each.name: getattr(job, each.name) for each in dataclasses.fields(job) if each.name not in own}
        prepared = PreparedJob(**own, **found)
    return {step.name: step.key.digest for step in plan(prepared)}


def test_the_list_names_code_that_is_there():
    root = Path(scd_lightning.__file__).parent
    for setting, reason in CHANGES_NO_NUMBER.items():
        file, _, symbol = reason.rpartition(": ")[2].partition(":")
        text = (root / file).read_text(encoding="utf-8")
        assert f"def {symbol}" in text or f"class {symbol}" in text, (setting, reason)


def test_a_setting_that_nobody_has_put_anywhere_is_found(jobs):
    settings = copy.deepcopy(dict(jobs[0].settings))
    settings["budget"]["new"] = 1
    assert "budget.new" in dict(leaves(settings))
    with pytest.raises(ConfigError, match="new"):
        build_job(settings, jobs[0].run_dir)
