"""What is hidden, what is not, and what is said in its place."""

import json
import os
import string
import sys
from random import Random
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from scd_lightning.cli.hydra_secrets import check_arguments
from scd_lightning.config.pasting import command_of
from scd_lightning.redaction import known_secrets
from scd_lightning.redaction.cleaning import clean, clean_override, clean_text, remarks
from scd_lightning.redaction.secret_names import looks_secret
from scd_lightning.redaction.secret_places import HIDDEN
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    for name in [name for name in os.environ if looks_secret(name)]:
        monkeypatch.delenv(name)
    known_secrets.forget_all()
    yield
    known_secrets.forget_all()


@pytest.mark.parametrize(
    "name",
    ["DB_PASS", "PGPASSWORD", "HF_AUTH", "GITHUB_PAT", "MY_TOKEN_V2", "apiKey", "x-api-key", "client_secret", "HFToken"]
    + [
        "SMTP_PASSWD",
        "SESSION_COOKIE",
        "SENTRY_DSN",
        "sslpassphrase",
        "access_keys",
        "KEY_OLD",
        "Authorization",
        "SAS",
    ],
)
def test_names_of_secrets(name):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_new_tokens", "num_key_value_heads", "eos_token", "bos_token", "pad_token_id", "author", "passes", "keys"]
    + ["pattern", "path", "compass", "sort_key", "primary_metric", "tokenizer", "signals_dtype", "batch_tokens", "oak"],
)
def test_names_of_other_things(name):
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://u:p@ss@h/x", "https://(hidden)@h/x"),
        ("postgres://me:a/b?c#d@db.example:5432/x", "postgres://(hidden)@db.example:5432/x"),
        ("s3://key:secret@bucket", "s3://(hidden)@bucket"),
        ("https://token@host/x", "https://(hidden)@host/x"),
        ("ftp://h/a?v=1&pass=a&Auth=b&jwt=c&sid=d#access_token=e", None),
        ("https://h/?%74oken=abc", "https://h/?%74oken=(hidden)"),
        ("me:word@host.example:22", "(hidden)@host.example:22"),
        ("curl -H 'Authorization: Bearer abc.def-123'", "curl -H 'Authorization: (hidden)'"),
        ("sent with Bearer abcdefg1234", "sent with Bearer (hidden)"),
        ("psql PGPASSWORD=x -h db", "psql PGPASSWORD=(hidden) -h db"),
        ("tool --password x --api-key abc123", "tool --password (hidden) --api-key (hidden)"),
        ("{'password': 'two words', 'n': 1}", "{'password': (hidden), 'n': 1}"),
        ('{"db_password": "a\\"b"}', '{"db_password": (hidden)}'),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "(hidden)"),
        ("${oc.env:MY_TOKEN,abc}", "${oc.env:MY_TOKEN}"),
    ],
)
def test_secrets_in_texts(text, expected):
    cleaned = clean_text(text)
    assert cleaned == expected or (expected is None and "=a" not in cleaned and cleaned.count(HIDDEN) == 5)


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/repo@main/x?page=2#top",
        "git@github.com:org/repo",
        "mailto:ann@example.org",
        "Remedy: teacher.eos_token='<|im_end|>' or student.bos_token='<s>'.",
        "    token = tokenizer.encode(text)",
        "    rows.sort(key=lambda row: row.id)",
        "set HF_TOKEN, or run `huggingface-cli login`",
        "teacher-dd87060fc64607f6bdcf66f3 at 0123456789abcdef0123456789abcdef01234567",
        "Meta-Llama-3-8B-Instruct-Q4_K_M, TinyLlama-1.1B-intermediate-step-1431k-3T, SmolLM2-135M-Instruct",
        "scd_lightning.data.converters.base.RowConverter, /data/Runs2026/LlamaForCausalLM/checkpoint-0001",
        "5e27f96f-1b2c-4d3e-8f90-123456789abc",
        "Class: a bearer of news",
    ],
)
def test_other_texts_stay(text):
    assert clean_text(text) == text


SERVICES = ("hf_{}", "ghp_{}", "sk-{}", "glpat-{}", "xoxb-{}", "npm_{}", "AIza{}", "github_pat_{}")


@pytest.mark.parametrize("form", [*SERVICES, "{}"])
def test_what_looks_like_a_token_is_one(form):
    random = Random(form)
    drawn = ["".join(random.choices(string.ascii_letters + string.digits, k=32)) for _ in range(100)]
    shown = [each for each in drawn if each in clean_text(f"with {form.format(each)}, then")]
    assert len(shown) <= (0 if form in SERVICES else 10)


def test_settings_keep_their_numbers_their_code_and_their_variables():
    settings = {
        "token": 5,
        "password": 1234,
        "secret": None,
        "use_auth": True,
        "key": "${oc.env:MINE}",
        "_target_": "a.b.Token",
        "ids": {"token": [1, 2]},
        "api_keys": ["a"],
        "credentials": {"user": "u"},
        "arguments": ["--password", "a", "--verbose", "b"],
        "variables": [{"name": "DB_PASS", "value": "v"}, {"name": "LANG", "value": "v"}],
        "given": "x.token=abc",
    }
    assert clean(settings) == settings | {
        "password": HIDDEN,
        "api_keys": HIDDEN,
        "credentials": HIDDEN,
        "arguments": ["--password", HIDDEN, "--verbose", "b"],
        "variables": [{"name": "DB_PASS", "value": HIDDEN}, {"name": "LANG", "value": "v"}],
        "given": f"x.token={HIDDEN}",
    }


@pytest.mark.parametrize(
    ("value", "forms"),
    [
        ("plain-secret-0", [str]),
        ("with / and @ 0", [lambda text: quote(text, safe=""), str, json.dumps]),
        ('quo\'ted "0" \\n', [str, json.dumps, repr]),
        ("ünïcödé-0", [str, json.dumps, quote]),
        (
            "line one is long enough\nand line two is as well",
            [str, repr, json.dumps, lambda text: " ".join(text.split())],
        ),
    ],
)
def test_a_known_secret_is_hidden_however_it_is_written(monkeypatch, value, forms):
    monkeypatch.setenv("MY_PASSWORD", value)
    for form in forms:
        text = f"an error of {form(value)} there"
        for line in value.splitlines():
            assert line not in clean_text(text)
            assert form(line) not in clean_text(text)
        assert HIDDEN in clean_text(text)


def test_a_short_value_tears_no_words(monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "answer")
    assert clean_text("the answers") == "the answers"


@pytest.mark.parametrize("value", ["validation", "bf16-mixed", "teacher_forced", sys.prefix])
def test_words_of_our_own_and_places_are_no_secrets(monkeypatch, value):
    known_secrets.learn(value, "SOMETHING")
    monkeypatch.setenv("MY_TOKEN", value)
    assert clean({"evaluated_split": value}) == {"evaluated_split": value}


@given(some.text(max_size=80), some.sampled_from(["https://{}@h/", "a.token={}", "?sig={}", "password: '{}'", "{}"]))
def test_what_is_clean_stays_so(text, form):
    cleaned = clean_text(form.format(text))
    assert clean_text(cleaned) == cleaned
    override = clean_override(form.format(text))
    assert clean_override(override) == override


@given(
    some.recursive(
        some.none() | some.integers() | some.text(), lambda x: some.lists(x) | some.dictionaries(some.text(), x)
    )
)
def test_settings_keep_their_form(values):
    cleaned = clean(values)
    assert type(cleaned) is type(values)
    assert clean(cleaned) == cleaned
    assert isinstance(remarks(values, cleaned), str)


def test_a_command_says_which_variable_to_set(monkeypatch):
    monkeypatch.setenv("DEPOT", "secret-of-depot")
    known_secrets.learn("secret-of-depot", "DEPOT")
    plain = ["python", "run.py", "task.template='a b'", "seed=1"]
    assert command_of(plain) == "python run.py 'task.template='\"'\"'a b'\"'\"'' seed=1"
    line, _, remark = command_of([*plain[:2], "+x.token=abc", "+y.password=secret-of-depot"]).partition("  # ")
    assert line == "python run.py '+x.token=(hidden)' '+y.password=(hidden)'"
    assert "${oc.env:X_TOKEN} in +x.token" in remark
    assert "${oc.env:DEPOT} in +y.password" in remark


def test_a_file_says_which_variable_to_set():
    before = {"a": {"token": "abc", "n": 1}, "b": ["x", "https://u:p@h"]}
    told = remarks(before, clean(before))
    assert "#   a.token: ${oc.env:A_TOKEN}\n" in told
    assert "#   b[1]: ${oc.env:B_1}\n" in told
    assert yaml.safe_load(told + yaml.safe_dump(clean(before))) == clean(before)
    assert remarks({"a": 1}, {"a": 1}) == ""


def test_no_configuration_of_ours_has_a_secret_in_it():
    for path in sorted((ROOT / "conf").rglob("*.yaml")):
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        known_secrets.learn_from(settings)
        assert clean(settings) == settings, path
    assert not known_secrets._learnt


def test_names_that_the_data_have_are_none():
    columns = {"key": "customer_message", "token": "text", "m-key": "medicine_name"}
    settings = {"task": {"data": {"columns": columns, "converters": [{"labels": columns, "token": "s3cret-token"}]}}}
    known_secrets.learn_from(settings)
    shown = clean(settings)["task"]["data"]
    assert shown["columns"] == columns
    assert shown["converters"] == [{"labels": columns, "token": HIDDEN}]
    assert set(known_secrets._learnt) == {"s3cret-token"}
    for line in ("task.data.columns={key: customer_message, token: text}", "task.data.columns.token=text"):
        check_arguments([line])
        assert clean_override(line) == line
    assert set(known_secrets._learnt) == {"s3cret-token"}
