"""What W&B's own variables and settings files switch."""

import pytest

from scd_lightning.errors import ConfigError
from scd_lightning.loggers.wandb_switches import Switches

pytestmark = pytest.mark.usefixtures("no_key")


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The folder of W&B's own settings file, none of which is there yet."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "settings"
    folder.mkdir()
    return folder


def write(file, **settings):
    file.parent.mkdir(exist_ok=True)
    file.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))


@pytest.mark.parametrize(
    ("configured", "file", "variables", "mode"),
    [
        ("auto", None, {}, "auto"),
        ("auto", None, {"WANDB_MODE": "dryrun"}, "offline"),
        ("auto", None, {"WANDB_MODE": "run"}, "online"),
        ("auto", None, {"WANDB_MODE": "shared"}, "shared"),
        ("auto", "disabled", {}, "disabled"),
        ("auto", "offline", {}, "offline"),
        ("auto", "disabled", {"WANDB_MODE": "online"}, "online"),
        ("online", "disabled", {}, "online"),
        ("online", None, {"WANDB_MODE": "disabled"}, "disabled"),
        ("online", None, {"WANDB_DISABLED": "yes", "WANDB_MODE": "online"}, "disabled"),
        ("offline", None, {"WANDB_DISABLED": "false", "WANDB_MODE": ""}, "offline"),
        ("dryrun", None, {}, "offline"),
    ],
)
def test_the_mode(files, monkeypatch, configured, file, variables, mode):
    if file is not None:
        write(files / "settings", mode=file)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Switches("run", mode=configured).mode == mode


def test_the_settings_of_a_folder_go_before_the_users_and_variables_before_both(files, tmp_path, monkeypatch):
    write(files / "settings", mode="offline", project="first", entity="team")
    write(tmp_path / "wandb" / "settings", mode="disabled", project="second")
    found = Switches("run")
    assert (found.mode, found.told("project"), found.told("entity")) == ("disabled", "second", "team")
    monkeypatch.setenv("WANDB_PROJECT", "third")
    assert Switches("run").told("project") == "third"
    assert Switches("run").told("run_group") is None


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"WANDB_MODE": "ofline"}, "Where: WANDB_MODE. Got: ofline. Expected: online, offline, disabled, "),
        ({"WANDB_DISABLED": "perhaps"}, "Where: WANDB_DISABLED. Got: perhaps. Expected: true or false"),
        ({"WANDB_PROJECT": "a/b"}, "Where: WANDB_PROJECT. Got: a/b"),
        ({"WANDB_INIT_TIMEOUT": "soon"}, "Where: WANDB_INIT_TIMEOUT. Got: soon. Expected: Input should be a valid num"),
        ({"WANDB_RESUME": "perhaps"}, "Where: WANDB_RESUME"),
    ],
)
def test_a_variable_that_can_not_be_used_is_refused(monkeypatch, variables, told):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        Switches("run")
    assert told in str(caught.value)


def test_a_settings_file_with_an_unknown_mode_is_refused(files):
    write(files / "settings", mode="of")
    with pytest.raises(ConfigError, match=r"no such mode of W&B. Where: .*settings. Got: of"):
        Switches("run")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"mode": "sometimes"}, "Where: logger.wandb.mode. Got: sometimes. Expected: auto, online, offline, disabled"),
        ({"start_timeout": -1}, "Where: logger.wandb.start_timeout"),
        ({"project": "a/b"}, "Where: logger.wandb.project. Got: a/b"),
        ({"tags": ["x" * 65]}, "Where: logger.wandb.tags"),
    ],
)
def test_a_setting_that_can_not_be_used_is_refused(settings, told):
    with pytest.raises(ConfigError) as caught:
        Switches("run", **settings)
    assert told in str(caught.value)
