"""What an artifact's manifest tells of its files, and what is damage to it."""

import json

import pytest
from torch import nn

from scd_lightning.errors import StoreError
from scd_lightning.store import integrity
from scd_lightning.store.artifacts import ArtifactKey, ArtifactStore, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.integrity import read_manifest, write_manifest

CONTENT = {"kind": "anchor", "key": {"seed": 0}, "result": {"value": 0.5}, "costs": {}}
KEY = ArtifactKey("anchor", {"seed": 0})


@pytest.fixture
def folder(tmp_path):
    """An artifact with checkpoints that share frozen tensors, and what does not belong to it."""
    folder = tmp_path / "anchor"
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    CheckpointStore(folder / "weights").save(model, 1, {})
    (folder / "train_losses.npy").write_text("small")
    (folder / "resume").mkdir()
    for name in ("resume/state.json", ".train_losses.npy.17-0123abcd.tmp", "pinned"):
        (folder / name).touch()
    write_manifest(folder, CONTENT)
    return folder


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_the_manifest_lists_what_belongs_to_the_artifact(folder):
    manifest = read_manifest(folder, whole=True)
    files = manifest.pop("files")
    assert manifest == CONTENT
    weights = ["checkpoint-1.safetensors", "frozen.safetensors", "manifest.json"]
    assert list(files) == ["train_losses.npy", *(f"weights/{name}" for name in weights)]
    [entry] = CheckpointStore(folder / "weights").entries
    assert files["weights/checkpoint-1.safetensors"]["sha256"] == entry.sha256


@pytest.mark.parametrize("file", ["train_losses.npy", "weights/frozen.safetensors", "weights/manifest.json"])
def test_damage_names_the_file(folder, file):
    flip(folder / file)
    with pytest.raises(StoreError) as error:
        read_manifest(folder, whole=False)
    assert error.value.where == folder / file
    (folder / file).unlink()
    with pytest.raises(StoreError, match="is missing") as error:
        read_manifest(folder, whole=False)
    assert error.value.where == folder / file


def test_a_changed_result_is_damage(folder):
    path = folder / "artifact.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(StoreError, match="not what it was when it was written"):
        read_manifest(folder, whole=False)


def test_only_what_is_read_whole_shows_damage_in_large_files(folder, monkeypatch):
    monkeypatch.setattr(integrity, "SMALL", 3)
    flip(folder / "train_losses.npy")
    read_manifest(folder, whole=False)
    with pytest.raises(StoreError, match="digest"):
        read_manifest(folder, whole=True)


def test_damaged_checkpoints_make_no_artifact(folder):
    flip(folder / "weights" / "frozen.safetensors")
    with pytest.raises(StoreError, match="digest does not match"):
        write_manifest(folder, CONTENT)


@pytest.fixture
def made(tmp_path):
    """The folder of a made artifact, and how to ask for it again."""

    def build(folder):
        (folder / "train_losses.npy").write_text("whole")
        return Outcome({"value": 1}, {})

    def make(**options):
        return ArtifactStore(tmp_path, "run").make(KEY, build, **options)

    return make().folder, make


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_damaged_is_made_anew_and_stays_pinned(made, capsys, whole, monkeypatch):
    folder, make = made
    (folder / "pinned").touch()
    flip(folder / "train_losses.npy")
    if whole:
        monkeypatch.setattr(integrity, "SMALL", 3)
        assert make().reused
    assert not make(whole=whole).reused
    assert (folder / "train_losses.npy").read_text() == "whole"
    assert (folder / "pinned").exists()
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"  the store's {folder.name} is damaged and counts as missing: ")
    assert line.endswith(f"({folder / 'train_losses.npy'})")
    assert make(whole=whole).reused


def test_a_check_takes_a_damaged_artifact_out_of_use_for_everybody(made, tmp_path, monkeypatch):
    folder, make = made
    monkeypatch.setattr(integrity, "SMALL", 3)
    store = ArtifactStore(tmp_path, "run")
    store.check(KEY)
    assert store.find(KEY) is not None
    flip(folder / "train_losses.npy")
    store.check(KEY)
    assert ArtifactStore(tmp_path, "another").find(KEY) is None
    assert not make().reused


def test_a_finished_artifact_that_was_damaged_before_it_got_its_name(made):
    folder, make = made
    partial = folder.rename(folder.with_name(f"{folder.name}.partial"))
    flip(partial / "train_losses.npy")
    assert not make().reused
    assert (folder / "train_losses.npy").read_text() == "whole"
    assert not partial.exists()


def test_the_digest_of_a_manifest_is_of_what_json_can_hold(folder):
    write_manifest(folder, {**CONTENT, "result": {"pair": (1, 2), "counts": {3: 0, 10: 1}}})
    assert read_manifest(folder, whole=True)["result"] == {"pair": [1, 2], "counts": {"3": 0, "10": 1}}
    content = json.loads((folder / "artifact.json").read_text())
    assert list(content)[-1] == "seal"
