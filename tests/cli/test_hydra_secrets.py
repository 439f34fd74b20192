"""What Hydra reads of the environment and writes of a job."""

import logging
import os
import shlex
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core import utils
from omegaconf import OmegaConf

from scd_lightning.cli.clean_output import clean_output
from scd_lightning.cli.hydra_secrets import check_arguments, keep_secrets
from scd_lightning.config.build import read_settings
from scd_lightning.errors import ConfigError
from scd_lightning.redaction import known_secrets
from scd_lightning.redaction.cleaning import clean_text


@pytest.fixture(autouse=True)
def _reading():
    keep_secrets()
    known_secrets.forget_all()
    yield
    known_secrets.forget_all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${oc.env:HERON}", "heron-of-the-river"),
        ("x ${oc.env:HERON} y", "x heron-of-the-river y"),
        ("${oc.decode:${oc.env:HERON}}", "heron-of-the-river"),
        ("${oc.env:EGRET,${oc.env:HERON}}", "heron-of-the-river"),
        ("${oc.env:EGRET,else}", "else"),
        ("${oc.env:EGRET,null}", None),
    ],
)
def test_what_comes_from_the_environment_is_a_secret(monkeypatch, value, expected):
    monkeypatch.setenv("HERON", "heron-of-the-river")
    assert OmegaConf.create({"a": value}).a == expected
    assert ("heron" in clean_text("of heron-of-the-river")) == ("heron" not in str(expected))


def test_a_variable_that_is_not_set_is_missed_as_before():
    with pytest.raises(Exception, match="Environment variable 'EGRET' not found"):
        OmegaConf.create({"a": "${oc.env:EGRET}"}).a  # noqa: B018


@pytest.mark.parametrize("place", ["paths", "hydra.run"])
def test_places_are_no_secrets(monkeypatch, place):
    monkeypatch.setenv("HERON", "heron-of-the-river")
    cfg = OmegaConf.create({})
    OmegaConf.update(cfg, f"{place}.store", "${oc.env:HERON}/store")
    assert OmegaConf.select(cfg, f"{place}.store") == "heron-of-the-river/store"
    assert "heron-of-the-river" in clean_text("in heron-of-the-river/store")


def test_files_without_a_secret_are_hydra_s_own(tmp_path):
    cfg = OmegaConf.create({"a": 1, "b": "${a}", "c": ["???", None], "token": "${oc.env:HERON}"})
    utils._save_config(cfg, "config.yaml", tmp_path / "new")
    assert (tmp_path / "new" / "config.yaml").read_text() == OmegaConf.to_yaml(cfg)


def test_files_get_the_rights_that_the_user_gives(tmp_path):
    before = os.umask(0o077)
    try:
        utils._save_config(OmegaConf.create({"token": "a"}), "config.yaml", tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "config.yaml").stat().st_mode & 0o777 == 0o600


def test_folders_are_named_without_secrets(monkeypatch):
    monkeypatch.setenv("HERON", "heron-of-the-river")
    overrides = ["+x.token=abcdefg1", "+y='${oc.env:HERON}'", "seed=1"]
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base="1.3"):
        cfg = compose("config", overrides, return_hydra_config=True)
        name = cfg.hydra.job.override_dirname
        assert cfg.x.token == "abcdefg1"
        assert cfg.y == "heron-of-the-river"
    assert name == "+x.token=(hidden),+y='HERON',seed=1"


def composed(error: ConfigError, setting: str, monkeypatch) -> str:
    """A setting's value, once the error's remedy is followed in a shell."""
    monkeypatch.setenv("SECRET", "heron-of-the-river")
    (override,) = shlex.split(str(error.remedy).partition(", and write ")[2])
    check_arguments([override])
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base="1.3"):
        return str(OmegaConf.select(compose("config", [override]), setting.lstrip("+")))


@pytest.mark.parametrize(
    "argument", ["+x.token=(hidden)", "task.data.path=https://(hidden)@h/x", "+x.u='a?key=(hidden)'"]
)
def test_a_command_that_lacks_a_secret_says_so(argument, monkeypatch):
    with pytest.raises(ConfigError, match=r"left out.*write \S+='\$\{oc.env:SECRET\}'") as caught:
        check_arguments(["seed=1", argument])
    assert composed(caught.value, argument.partition("=")[0], monkeypatch) == "heron-of-the-river"


def test_settings_that_lack_a_secret_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"left out.*Where: callbacks\.x\[0\]\.token\."):
        read_settings(OmegaConf.create({"callbacks": {"x": [{"token": "(hidden)"}]}}))
    with pytest.raises(ConfigError, match=r"left out.*Where: task\.data\.path\.") as caught:
        read_settings(OmegaConf.create({"task": {"data": {"path": "https://(hidden)@h/x"}}}))
    assert composed(caught.value, "task.data.path", monkeypatch) == "heron-of-the-river"


def test_what_a_command_line_has_is_known_before_anything_is_read():
    check_arguments(["+a.password=sesame-open", "b=https://me:sesame-close@host/"])
    assert clean_text("of sesame-open and sesame-close") == "of (hidden) and (hidden)"


def test_tracebacks_warnings_and_logs_are_clean(capsys, caplog):
    check_arguments(["+a.password=sesame-open"])
    clean_output()
    try:
        raise RuntimeError("sesame-open")
    except RuntimeError as error:
        logging.getLogger("another").exception("with %s", "sesame-open")
        sys.excepthook(type(error), error, error.__traceback__)
    assert "sesame" not in caplog.text
    assert caplog.text.count("(hidden)") == 3
    err = capsys.readouterr().err
    assert "RuntimeError: (hidden)" in err
    assert "sesame" not in err
