"""Locks between runs: one holder at a time, whom the others can name."""

import os

from scd_lightning.store.locks import holder, note_holder, try_lock


def test_a_lock_that_is_taken_is_not_had_in_time(tmp_path):
    first = try_lock(tmp_path / "a.lock", 0)
    assert first is not None
    assert try_lock(tmp_path / "a.lock", 0.05) is None
    first.release()
    again = try_lock(tmp_path / "a.lock", 0)
    assert again is not None
    again.release()


def test_its_holder_has_a_name(tmp_path):
    lock = tmp_path / "a.lock"
    assert holder(lock) == "another run"
    note_holder(lock, "outputs/one")
    assert holder(lock).startswith(f"outputs/one (process {os.getpid()} on ")
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    assert holder(lock) == "another run"
