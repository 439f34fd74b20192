"""`scd serve`: what it refuses before anything is loaded, and who may ask."""

import importlib.util
import socket

import pytest

from scd_lightning.cli import serve
from scd_lightning.errors import ConfigError
from scd_lightning.serving.bounds import Bounds
from scd_lightning.use import student as students

TOKEN = "a-token-of-some-length"


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """No token from around the tests, and no student."""
    monkeypatch.delenv(serve.TOKEN, raising=False)
    monkeypatch.setattr(students.Student, "load", None)


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs the command on a folder that is no student; its complaint."""

    def call(*arguments):
        assert serve.main([str(tmp_path), "--port", "0", *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        return err

    return call


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "not the folder of a student"),
        (["--batch", "0"], "--batch"),
        (["--queue", "0"], "--queue"),
        (["--max-texts", "-1"], "--max-texts"),
        (["--max-characters", "0"], "--max-characters"),
        (["--max-body", "nan"], "--max-body"),
        (["--max-body", "inf"], "--max-body"),
        (["--max-texts", "20", "--queue", "10"], "would never find room"),
        (["--port", "65536"], "--port"),
        (["--port", "-1"], "--port"),
        (["--name", " "], "--name"),
        (["--host", "0.0.0.0"], "--no-token"),
        (["--host", "::"], serve.TOKEN),
        (["--host", "0.0.0.0", "--no-token"], "not the folder of a student"),
        (["--host", "203.0.113.7", "--no-token"], "can't have that address"),
        (["--token-file", "no/such/file"], "--token-file"),
    ],
)
def test_what_cannot_work_is_refused_before_a_model_is_loaded(refused, arguments, told):
    assert told in refused(*arguments)


def test_a_port_in_use_is_refused(refused):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert "Another program listens there" in refused("--port", other.getsockname()[1])


def test_a_missing_extra_is_told_with_what_installs_it(refused, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else real(name))
    assert "Remedy: python -m pip install uvicorn." in refused()


@pytest.mark.parametrize("token", ["", "short", "with a blank in the middle", "á" * 20, "a\x00" * 20])
def test_a_token_that_cannot_be_used_is_refused(refused, monkeypatch, tmp_path, token):
    (tmp_path / "token").write_text(token)
    assert "The token can't be used" in refused("--token-file", tmp_path / "token")
    if "\x00" not in token:
        monkeypatch.setenv(serve.TOKEN, token)
        told = refused()
        assert "The token can't be used" in told
        assert "secrets.token_urlsafe()" in told
        assert len(token) < 6 or token not in told


def access(*arguments):
    return serve._access(serve._parser().parse_args(["student", *arguments]))


def test_a_token_is_read_from_a_file_or_the_environment(monkeypatch, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}-1\n")
    for host in ("127.0.0.1", "0.0.0.0"):
        found = access("--host", host, "--token-file", str(tmp_path / "token"))
        assert (found.token, found.hosts) == (f"{TOKEN}-1", None)
    monkeypatch.setenv(serve.TOKEN, TOKEN)
    assert access("--host", "::").token == TOKEN
    assert access("--token-file", str(tmp_path / "token")).token == f"{TOKEN}-1"
    assert access("--no-token").token is None


def test_without_a_token_loopback_is_called_by_its_own_names_alone():
    assert access().hosts == {"localhost", "127.0.0.1", "[::1]"}
    assert access("--host", "127.0.0.2").hosts == {"localhost", "127.0.0.1", "[::1]", "127.0.0.2"}
    assert access("--host", "::1").token is None
    assert access("--host", "0.0.0.0", "--no-token").hosts is None
    with pytest.raises(ConfigError, match="Whoever reaches this machine"):
        access("--host", "127.example.org")


def test_what_a_token_may_be_is_made_as_the_message_says():
    import secrets

    assert len(secrets.token_urlsafe()) >= serve._LEAST_TOKEN


def test_the_options_bound_what_is_taken():
    assert serve._bounds(serve._parser().parse_args(["student"])) == Bounds()
    given = ["--max-texts", "2", "--max-characters", "3", "--max-body", "0.5", "--queue", "9"]
    assert serve._bounds(serve._parser().parse_args(["student", *given])) == Bounds(2, 3, 524_288, 9)
