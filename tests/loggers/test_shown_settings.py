"""Settings that may be shown."""

import pwd

from scd_lightning.loggers.shown_settings import flat, public_settings
from scd_lightning.redaction.secret_places import HIDDEN


def test_secrets_are_hidden_and_numbers_that_sound_alike_are_kept(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghij")
    monkeypatch.setenv("HOME", "/home/somebody")
    settings = {
        "task": {"max_new_tokens": 8, "token": "t0", "db_password": "p", "data": {"path": "/home/somebody/sets"}},
        "student": {"num_key_value_heads": 2, "pad_token_id": 0, "path": "https://me:pass@hub.example/x"},
        "trainer": {"credentials": {"user": "u", "word": "w"}, "token": ["t1"], "eos_token": [1, 2]},
        "callbacks": [{"apiKey": "k", "url": "https://hub.example/?t=hf_abcdefghij"}],
        "paths": {"run": "/home/somebody/run"},
        "logger": {},
    }
    assert public_settings(settings) == {
        "task": {"max_new_tokens": 8, "token": HIDDEN, "db_password": HIDDEN, "data": {"path": "~/sets"}},
        "student": {"num_key_value_heads": 2, "pad_token_id": 0, "path": f"https://{HIDDEN}@hub.example/x"},
        "trainer": {"credentials": HIDDEN, "token": HIDDEN, "eos_token": [1, 2]},
        "callbacks": [{"apiKey": HIDDEN, "url": f"https://hub.example/?t={HIDDEN}"}],
    }


def test_flat_settings():
    assert flat({"a": {"b": {"c": 1}, "d": None}, "e": []}) == {"a.b.c": 1, "a.d": None, "e": []}


def test_without_a_home_nothing_of_it_is_hidden(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert public_settings({"task": {"path": "/data/~/x"}}) == {"task": {"path": "/data/~/x"}}
