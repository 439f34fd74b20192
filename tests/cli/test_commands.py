"""Every command that is printed runs when it is pasted, and every remedy about the command line works to the letter."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.conf import ConfigSourceInfo
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, OverrideParseException
from omegaconf import OmegaConf

from scd_lightning.analysis.comparison.failed_jobs import describe_failures
from scd_lightning.cli import report
from scd_lightning.cli.mistakes import explain
from scd_lightning.cli.overrides import job_command, one_line, rank_command, swept_jobs
from scd_lightning.cli.reading import read_more
from scd_lightning.config.build import check_light_parts, read_settings
from scd_lightning.errors import ConfigError, StoreError
from tests.conftest import ROOT

read_more()
HARD = [
    "task=classification",
    "task.data.path=acme (v2)/year=2024",
    "task.labels=['neutral, mixed','it\\'s',\"[a]\",苦情]",
    "task.data.columns={Ticket text (EN): text, 本文: label}",
    'task.template="[INST] {text}\\nQueue: [/INST]\\n"',
    "student.lora.alpha=None",
    "task.name='$HOME `x` \\\\'",
    "task.data.group_column=a:b",
    "student.name='tab\there, \x1b[2J! ~ é'",
    "teacher.name=1.50",
    "student.revision=line\nbreak",
]


@pytest.fixture
def composed():
    """Composes overrides as run.py does, with Hydra's own part, which becomes the running job's."""

    def compose_(*overrides, sweep=False):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("config", ["paths.run=here", *overrides], return_hydra_config=True)
        OmegaConf.set_struct(cfg, False)
        OmegaConf.set_readonly(cfg.hydra, False)
        cfg.hydra.overrides.task = list(overrides)
        cfg.hydra.job.config_name, cfg.hydra.mode = "config", "MULTIRUN" if sweep else "RUN"
        cfg.hydra.runtime.config_sources = [ConfigSourceInfo("/my conf", "file", "command-line")]
        HydraConfig.instance().set_config(cfg)
        return read_settings(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"]))

    yield compose_
    HydraConfig.instance().cfg = None


def words_of(command):
    """The words that a program gets where its command is pasted into a shell, on one line."""
    assert "\n" not in command
    program = command.partition(" ")[0]
    script = f"{program}() {{ printf '%s\\0' {program} \"$@\"; }}; {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def pasted(command):
    """The overrides that run.py gets where a command is pasted into a shell."""
    return [one_line(each) for each in words_of(command)[2:] if not each.startswith("-")]


def found(pattern, message):
    """The parts of a message that a person would copy."""
    match = re.search(pattern, message)
    assert match is not None, message
    return match.groups()


@pytest.mark.parametrize("sweep", [False, True])
def test_a_jobs_command_gives_the_same_settings(composed, monkeypatch, sweep):
    hard = [one_line(each) for each in HARD]
    (given,) = swept_jobs(hard) if sweep else (hard,)
    monkeypatch.setattr(sys, "argv", ["run.py", *given])
    settings = composed(*given, sweep=sweep)
    assert settings["task"]["template"] == "[INST] {text}\nQueue: [/INST]\n"
    assert settings["task"]["labels"] == ["neutral, mixed", "it's", "[a]", "苦情"]
    command = job_command()
    assert composed(*pasted(command)) == settings
    assert ("'--config-dir=/my conf'" in command) is sweep


def test_a_ranks_command_gives_the_same_settings(composed, tmp_path):
    settings = composed(*HARD)
    words = rank_command(tmp_path / "it's (v2), [x]")
    own = [each for each in words[2:] if not each.startswith("-")]
    ours = [each for each in own if not each.startswith("hydra.")]
    assert "--config-dir=/my conf" in words
    (folder,) = [each for each in own if each.startswith("hydra.run.dir=")]
    assert OverridesParser.create().parse_override(folder).value() == str(tmp_path / "it's (v2), [x]")
    assert composed(*ours) == settings


def test_the_command_of_a_failed_job_names_the_folder_of_ones_own_options(composed, tmp_path):
    settings = composed(*HARD)
    (tmp_path / "0" / ".hydra").mkdir(parents=True)
    hydra = {
        "runtime": {"config_sources": [{"path": "/my conf", "provider": "command-line"}]},
        "job": {"config_name": "config"},
        "overrides": {"hydra": ["hydra.searchpath=[file:///c d]", "hydra.mode=MULTIRUN"]},
    }
    (tmp_path / "0" / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    (tmp_path / "0" / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(HARD, allow_unicode=True))
    (failure,) = describe_failures({tmp_path / "0": None}, [tmp_path / "0"])
    assert words_of(failure.command)[2:] == [
        "--config-dir=/my conf",
        "hydra.searchpath=[file:///c d]",
        *HARD,
    ]
    assert composed(*[each for each in pasted(failure.command) if not each.startswith("hydra.")]) == settings


def test_the_remedy_for_what_cannot_be_read_works():
    with pytest.raises(OverrideParseException) as caught:
        OverridesParser.create().parse_overrides(["task.name=(a"])
    (word,) = shlex.split(*found(r"('name=.*')", str(explain(caught.value))))
    assert OverridesParser.create().parse_override(word).value() == "a, b"


@pytest.mark.parametrize("value", ["acme, inc", "a,b (v2)", "データ, x"])
def test_the_remedies_for_a_value_with_commas_work(composed, value):
    with pytest.raises(ConfigCompositionException) as caught:
        composed(f"task.data.path={value}")
    said, values = str(explain(caught.value)), re.split(", ?", value)
    assert "add --multirun" in said
    text, several = found(r"quotes around it, (.*), and for a list brackets, (.*)\.$", said)
    assert composed(*shlex.split(text))["task"]["data"]["path"] == value
    assert composed(*shlex.split(several))["task"]["data"]["path"] == values
    jobs = [OverridesParser.create().parse_override(job).value() for (job,) in swept_jobs([f"task.data.path={value}"])]
    assert list(map(str, jobs)) == values


@pytest.mark.parametrize("name", ["out [v2] x", "acme's, 50 %", "a\nb", "$(id)"])
def test_the_folder_that_a_report_names_may_be_called_anything(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = Path(name, "runs/0")
    run.mkdir(parents=True)
    (run / "results.json").touch()
    with pytest.raises(StoreError, match="name one such as") as caught:
        report._runs(Path(name))
    (said,) = re.findall("name one such as (.*), or several", str(caught.value.remedy))
    assert words_of(f"python {said}")[1:] == [str(run)]


@pytest.mark.parametrize("labels", ["[1_000,7]", "[true,false]"])
def test_the_remedy_for_labels_read_as_numbers_works(composed, tmp_path, labels):
    with pytest.raises(ConfigError, match="put quotes around words") as caught:
        check_light_parts(composed("task=classification", f"task.labels={labels}"))
    file, shell = found(r": (labels: .*) in a file, ('.*') in a shell", str(caught.value))
    assert yaml.safe_load(file) == {"labels": ["0452", "yes"]}
    (word,) = shlex.split(shell)
    settings = composed("task=classification", word)
    check_light_parts(settings)
    assert settings["task"]["labels"] == ["0452", "yes"]


def test_words_in_a_file_that_yaml_takes_for_others_are_told(composed):
    for words in ("[yes, no]", "[on, off]", "[0452, 17]"):
        settings = composed("task=classification")
        settings["task"]["labels"] = yaml.safe_load(words)
        with pytest.raises(ConfigError, match="put quotes around words"):
            check_light_parts(settings)


@pytest.mark.parametrize("file", [ROOT / "conf/hydra/default.yaml"], ids=lambda file: file.stem)
def test_commands_of_the_help_compose(composed, file):
    lines = re.findall(r"python run\.py ((?:\S+ ?)+)", Path(file).read_text(encoding="utf-8"))
    commands = [shlex.split(line) for line in lines]
    assert len(commands) > 2
    for words in commands:
        overrides = [each for each in words if "=" in each and not each.startswith("-")]
        for job in swept_jobs(overrides)[-1:]:
            composed(*job)
