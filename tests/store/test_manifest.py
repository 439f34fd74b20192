"""Atomic files, and digests against known values."""

import json
import math

import pytest

from scd_lightning.errors import StoreError
from scd_lightning.store.manifest import read_json, sha256_file, sha256_json, write_atomically, write_json

# Of b"abc", from FIPS 180-2.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_round_trip_in_new_folders(tmp_path):
    path = tmp_path / "a" / "b" / "manifest.json"
    content = {"z": [1, 2.5, None], "a": {"label": "疾患"}}
    write_json(path, content)
    assert read_json(path) == content
    assert path.read_text(encoding="utf-8") == json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    assert [each.name for each in path.parent.iterdir()] == ["manifest.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half of the n")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    seen = []

    def write(temporary):
        temporary.write_text("new")
        seen.append(path.exists())

    write_atomically(path, write)
    assert seen == [False]
    assert path.read_text() == "new"


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreError, match="can't be written. Where: .*manifest.json. Got: .*File exists.* Remedy: free some"
    ):
        write_json(tmp_path / "file" / "manifest.json", {})


def test_nan_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "manifest.json", {"loss": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff\xfe", b"[1]", b""])
def test_a_damaged_manifest_is_named(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="can't be read. Where: .*manifest.json. Got: .* Expected: a JSON object."):
        read_json(path)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(StoreError, match="No such file"):
        read_json(tmp_path / "manifest.json")


def test_digests(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert sha256_file(path) == ABC
    path.write_bytes(b'{"a":[1,"\xc3\xa9"],"b":null}')
    assert sha256_json({"b": None, "a": [1, "é"]}) == sha256_json({"a": [1, "é"], "b": None}) == sha256_file(path)
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})
    with pytest.raises(ValueError, match="not JSON compliant"):
        sha256_json(math.inf)
