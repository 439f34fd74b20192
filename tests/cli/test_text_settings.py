"""A setting that takes text has it as it was written, whatever a grammar would take it for."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from scd_lightning.cli.overrides import swept_jobs
from scd_lightning.cli.reading import as_written, read_more
from scd_lightning.config.arguments import fits, hints_of
from scd_lightning.config.build import _light_target, check_light_parts, read_settings
from scd_lightning.config.wording import in_words
from scd_lightning.errors import ConfigError
from tests.conftest import ROOT

read_more()
# Numbers, true, false and null to Hydra, or to what prints a sweep's jobs.
WORDS = ("2024", "007", "1.50", "1e5", "1_000", "True", "nan", "-0", ".5", "yes", "12:30:00")
KINDS = {
    "plain": ("task=classification", "logger=wandb", "paths.run=here"),
    "named": ("teacher=hub", "student=hub", "task=qa", "paths.run=here", "method=td"),
}


def settings_of(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return read_settings(compose("config", list(overrides)), as_written(overrides))


def text_settings(values: Any, where: str = "") -> Iterator[str]:
    """The settings of calls that take text and no number."""
    if not isinstance(values, Mapping):
        return
    target = _light_target(values["_target_"]) if "_target_" in values else None
    hints = {} if target is None else hints_of(target)
    for name, value in values.items():
        if name in hints and fits("any text", hints[name]) and not fits(2024, hints[name]):
            yield f"{where}{name}"
        yield from text_settings(value, f"{where}{name}.")


def at(settings: Any, key: str) -> Any:
    for name in key.split("."):
        settings = settings[name]
    return settings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_each_is_what_was_written(kind, shift):
    named = [f"{role}.path=x" for role in ("teacher", "student") if kind == "named"]
    keys = list(text_settings(settings_of(*KINDS[kind], *named)))
    assert {"task.name", "student.name", "student.revision", "task.data.group_column"} <= set(keys)
    words = {key: WORDS[(3 * place + shift) % len(WORDS)] for place, key in enumerate(keys)}
    given = [*KINDS[kind], *named, *(f"{key}={word}" for key, word in words.items())]
    for job in (given, *swept_jobs(given), swept_jobs([*given[:-1], f"{given[-1]},{WORDS[shift]}"])[0]):
        settings = settings_of(*job)
        assert {key: at(settings, key) for key in keys} == words


PARTS = {
    "task.labels=[yes,0452,1_000,true,1e3,nan,null,12:30:00]": [
        "yes",
        "0452",
        "1_000",
        "true",
        "1e3",
        "nan",
        "null",
        "12:30:00",
    ],
    "task.labels=(1, 2.50)": ["1", "2.50"],
    "task.labels=str([7,8])": ["7", "8"],
    "task.data.columns={7: text, True: label, 08: id}": {"7": "text", "True": "label", "08": "id"},
    "task.data.columns={'7': text, \"1e3\": 2024, null: label}": {"7": "text", "1e3": "2024", "null": "label"},
    "student.lora.target_modules=[0,1.10]": ["0", "1.10"],
    "task.name=${seed}": "0",
    "task.data.hub={_target_: scd_lightning.data.hub_sets.HubSet, path: 7, splits: {train: 1e2}}": {
        "_target_": "scd_lightning.data.hub_sets.HubSet",
        "path": "7",
        "splits": {"train": "1e2"},
    },
    # No text is asked for.
    "task.data.max_samples={train: 5, test: 10}": {"train": 5, "test": 10},
    "student.keep_layers=[0,2]": [0, 2],
    "student.optimizer.betas=(0.9, 0.95)": [0.9, 0.95],
    "task.name=null": None,
    "teacher.lora.alpha=None": None,
}


@pytest.mark.parametrize("override", PARTS)
def test_so_it_is_within_lists_and_dictionaries(override):
    key, given = override.partition("=")[0], ["task=classification", "paths.run=here", override]
    for job in (given, *swept_jobs(given)):
        found = at(settings_of(*job), key)
        assert found == PARTS[override]
        assert repr(found) == repr(PARTS[override])


def test_a_later_value_and_a_files_goes_its_own_way():
    assert settings_of("task.name=1.50", "task.name=2.50", "paths.run=here")["task"]["name"] == "2.50"
    written = as_written(["task.name=1.50", "~task.name", "task=qa", "task.data.columns={1: a}"])
    settings = {"task": {"name": 7, "data": {"columns": {1: "a", 2: "b", "1": "c"}}}}
    assert in_words(settings, written, lambda name: None) == settings


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task.labels", "[yes, no]"),
        ("task.labels", "[0452, ~]"),
        ("task.data.columns", "{on: text}"),
        ("task.data.columns", "{text: 12:30:00}"),
        ("task.name", "0x1F"),
        ("student.revision", "1234567"),
    ],
)
def test_a_file_is_told_where_to_put_quotes(setting, value):
    """What was written in a file is not known any more; the remedy is followed, there and on the command line."""
    settings = settings_of("task=classification", "paths.run=here")
    *place, name = setting.split(".")
    at(settings, ".".join(place))[name] = yaml.safe_load(value)
    with pytest.raises(ConfigError, match="put quotes around words") as caught:
        check_light_parts(settings)
    ((file, shell),) = re.findall(r": (\w+: .*) in a file, ('.*') in a shell", str(caught.value))
    at(settings, ".".join(place)).update(yaml.safe_load(file))
    check_light_parts(settings)
    check_light_parts(settings_of("task=classification", "paths.run=here", *shlex.split(shell)))


@pytest.mark.parametrize("override", ["paths.store=null", "paths.store=[a]", "paths.store={a: b}"])
def test_a_path_is_text(override):
    with pytest.raises(ConfigError, match=r"Where: paths.store"):
        settings_of("paths.run=here", override)
    assert settings_of("paths.run=here", "paths.store=2024")["paths"]["store"] == "2024"
