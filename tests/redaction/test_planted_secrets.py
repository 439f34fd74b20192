"""Secrets in all places that a run has them from, and all that it leaves searched for them."""

import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from scd_lightning.redaction import known_secrets
from tests.ledger import Ledger

# In the environment, by names that say what they are.
NAMED = {
    "HF_TOKEN": "wexford-lantern-01",
    "DB_PASS": "wexford-lantern-02",
    "PGPASSWORD": "wexford-lantern-03",
    "HF_AUTH": "wexford-lantern-04",
    "GITHUB_PAT": "wexford-lantern-05",
    "MY_TOKEN_V2": "wexford-lantern-06",
    "SIGNING_KEY": "wexford lantern 07\nits second line, which is long",
    "LOG_SERVER": "https://me:wexford-lantern-08@logs.example/in",
}
# In the environment, by names that say nothing, and in the configuration as ${oc.env:...}.
TAKEN = {
    "ZEBRA": "wexford-lantern-11",
    "QUAGGA": "wexford/lantern+12 'quoted'",
    "OKAPI": "[wexford-lantern-13, 2]",
    "TAPIR": "wexford-lantern-14",
    "GNU_HERD": "wexford-lantern-15",
    "ORYX": "wexford-lantern-16",
}
# On the command line, where it can be told by the setting, the address or its own look.
WRITTEN = {
    "password": "wexford-lantern-21",
    "api_key": "wexford-lantern-22",
    "pin_password": "73190264",
    "header": "wexford-lantern-23",
    "flag": "wexford-lantern-24",
    "pair": "wexford-lantern-25",
    "login": "wex@ford-lantern-26",
    "pass": "wexford-lantern-27",
    "auth": "wexford-lantern-28",
    "jwt": "wexford-lantern-29",
    "fragment": "wexford-lantern-30",
    "ticket": "wX3fo7Rd9Lan1tErn5Qk2Zb8",
    "hook": "xW5of3dR7naL9rEt1nQ8kZ4b",
    "of a service": "ghp_wexfordLantern0123456789",
    "web token": "eyJ3ZXhmb3Jk.eyJsYW50ZXJu.c2lnbmF0dXJl",
    "default": "wexford-lantern-31",
    "of Hydra": "wexford-lantern-32",
}
CODE = '''
import logging
import warnings

from lightning import Callback


class Talker(Callback):
    """Says all that it was told, in every way."""

    only_watches = True

    def __init__(self, fails: bool = False, **told) -> None:
        self.fails, self.told = fails, told

    def on_train_start(self, trainer, pl_module) -> None:
        logging.getLogger("a.library").warning("told %s", self.told)
        warnings.warn(f"told {self.told}")
        if self.fails:
            raise RuntimeError(f"told {self.told}")
'''
SETTINGS = f"""{{
  _target_: planted.Talker, _partial_: true, fails: false,
  animal: '${{oc.env:ZEBRA}}', sentence: 'all of ${{oc.env:QUAGGA}} of them', herd: '${{oc.decode:${{oc.env:OKAPI}}}}',
  several: ['${{oc.env:GNU_HERD}}'], stand_in: '${{oc.env:NOT_SET_TOKEN,{WRITTEN["default"]}}}',
  password: {WRITTEN["password"]}, deep: {{api_key: {WRITTEN["api_key"]}}}, pin_password: {WRITTEN["pin_password"]},
  headers: {{Authorization: 'Bearer {WRITTEN["header"]}'}}, arguments: ['--access-token', {WRITTEN["flag"]}],
  variables: [{{name: SHOP_PASSWORD, value: {WRITTEN["pair"]}}}],
  address: 'https://me:{WRITTEN["login"]}@host/a?pass={WRITTEN["pass"]}&auth={WRITTEN["auth"]}#access_token={WRITTEN["fragment"]}',
  other: 'https://host/a?page=2&jwt={WRITTEN["jwt"]}&t={WRITTEN["ticket"]}',
  hook: 'https://hooks.example/services/T0/B0/{WRITTEN["hook"]}',
  remark: 'made with {WRITTEN["of a service"]}', note: {WRITTEN["web token"]}
}}""".replace("\n", " ")
OVERRIDES = (
    f"+callbacks.talker={SETTINGS}",
    "allowed_targets=[planted]",
    f"+hydra.job.env_set.SHOP_PASSWORD={WRITTEN['of Hydra']}",
    "method=sft",
    "method.name='${oc.env:TAPIR}'",
    "student.name='${oc.env:ORYX}'",
)


@pytest.fixture
def planted(tmp_path, monkeypatch):
    code = tmp_path.parent / f"{tmp_path.name}-code"
    code.mkdir()
    (code / "planted.py").write_text(CODE)
    monkeypatch.syspath_prepend(code)
    monkeypatch.delitem(sys.modules, "planted", raising=False)
    for name, value in (NAMED | TAKEN).items():
        monkeypatch.setenv(name, value)
    known_secrets.forget_all()
    yield tmp_path
    known_secrets.forget_all()
    sys.modules.pop("planted", None)


def forms(secret: str) -> set[str]:
    """How it would be found."""
    bare = secret.strip("[]").partition(",")[0]
    password = secret.rpartition("@")[0].rpartition(":")[2] if "://" in secret else bare
    first, *_ = password.splitlines()
    return {first, quote(first, safe=""), base64.b64encode(first.encode()).decode()[:16], repr(first)[1:-1]}


def leaks(ledger: Ledger, command: str, folder: Path, said: Mapping[str, str]) -> list[str]:
    """Where secrets stand: in files, in their names, in what was printed."""
    texts = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    texts |= {f"the name {path}": os.fsencode(path.relative_to(folder)) for path in folder.rglob("*")}
    texts |= {name: text.encode() for name, text in said.items()}
    found = []
    for secret in (*NAMED.values(), *TAKEN.values(), *WRITTEN.values()):
        sought = [form.encode() for form in forms(secret)]
        places = [where for where, content in texts.items() if any(form in content for form in sought)]
        ledger.record(f"a secret in all that {command} leaves", not places)
        found += [f"{secret} in {where}" for where in places]
    return found


def test_there_are_thirty():
    assert len(NAMED) + len(TAKEN) + len(WRITTEN) >= 30


@pytest.mark.filterwarnings("ignore:told")
def test_a_run_leaves_none(run_py, planted, caplog, ledger):
    code, out, err = run_py(
        *OVERRIDES,
        "logger=[tensorboard,csv]",
        "hydra.run.dir=one",
    )
    assert code == 0, err
    said = {"stdout": out, "stderr": err, "logged": caplog.text}
    assert "told" in caplog.text
    assert leaks(ledger, "a run", planted, said) == []


@pytest.mark.filterwarnings("ignore:told")
def test_a_run_that_fails_leaves_none(run_py, planted, caplog, ledger):
    code, out, err = run_py(*OVERRIDES, "callbacks.talker.fails=true", "hydra.run.dir=failed")
    assert code == 2
    assert "told" in err
    assert "told" in (planted / "failed" / "failure.json").read_text()
    assert "told" in (planted / "failed" / "partial.json").read_text()
    assert leaks(ledger, "a run that fails", planted, {"stdout": out, "stderr": err, "logged": caplog.text}) == []


@pytest.mark.filterwarnings("ignore:told")
def test_a_sweep_leaves_none(run_py, planted, caplog, ledger):
    code, out, err = run_py(
        "-m",
        *OVERRIDES,
        "callbacks.talker.fails=true,false",
        "phases=[teacher_sft,student_sft]",
        "hydra.sweep.dir=several",
    )
    assert code == 1, err
    assert (planted / "several" / "multirun.yaml").is_file()
    assert leaks(ledger, "a sweep", planted, {"stdout": out, "stderr": err, "logged": caplog.text}) == []
