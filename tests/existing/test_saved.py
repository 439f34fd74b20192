"""What lies at a path, and in which order."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.existing import saved
from scd_lightning.existing.saved import find, in_order, recognise


@pytest.fixture
def run(tmp_path):
    """A training's folder: its last model, and three checkpoints."""
    folder = tmp_path / "run"
    for name, step in (("checkpoint-10", 100), ("checkpoint-9", 90), ("checkpoint-200", None), (".", None)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "config.json").write_text("{}")
        (folder / name / "model.safetensors").write_bytes(name.encode())
        if step is not None:
            (folder / name / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    (folder / "logs").mkdir()
    return folder


def names(models):
    return [model.path.name for model in models]


@pytest.mark.parametrize("pattern", ["{}", "{}/checkpoint-*", ["{}/checkpoint-9", "{}/checkpoint-1*", "{}/*-200"]])
def test_patterns_folders_and_lists_name_the_same(run, pattern):
    patterns = pattern.format(run) if isinstance(pattern, str) else [each.format(run) for each in pattern]
    found = in_order(find(patterns, "teacher.trajectory"), "teacher.trajectory")
    # By the step that a file tells of, and else by the number in the name.
    assert names(found) == ["checkpoint-9", "checkpoint-10", "checkpoint-200"]
    assert [model.step for model in found] == [90, 100, 200]


def test_a_path_with_a_pattern_s_signs(run):
    odd = run.with_name("run [1]")
    run.rename(odd)
    assert len(find(str(odd), "teacher.trajectory")) == len(find(f"{odd}/checkpoint-*", "teacher.trajectory")) == 3


def test_a_model_s_own_folder_is_itself(run):
    assert recognise(run, "anchor.path").path == run


def test_links_are_no_checkpoints_of_their_own(tmp_path):
    torch.save({"state_dict": {}, "global_step": 5}, tmp_path / "step=5.ckpt")
    (tmp_path / "last.ckpt").symlink_to("step=5.ckpt")
    assert len(find(str(tmp_path), "teacher.trajectory", allow_pickle=True)) == 1


def test_contents_and_not_names_make_the_digest(run, tmp_path):
    shutil.copytree(run / "checkpoint-9", tmp_path / "elsewhere-9")
    first, moved = (recognise(path, "x").contents() for path in (run / "checkpoint-9", tmp_path / "elsewhere-9"))
    assert first == moved != recognise(run / "checkpoint-10", "x").contents()


def test_nothing_there(tmp_path):
    with pytest.raises(ConfigError, match="There is nothing at the path"):
        find(str(tmp_path / "none-*"), "teacher.trajectory")


def test_one_checkpoint_alone_needs_no_step(run):
    tuned = run.parent / "tuned"
    shutil.copytree(run / "checkpoint-200", tuned)
    assert [model.step for model in in_order(find(str(tuned), "teacher.trajectory"), "teacher.trajectory")] == [0]
    with pytest.raises(ConfigError, match=r"tells no optimizer step.*Got: .*tuned"):
        in_order(find([str(tuned), str(run / "checkpoint-9")], "teacher.trajectory"), "teacher.trajectory")


@pytest.mark.parametrize("config", ["config.json", "adapter_config.json"])
def test_a_model_of_the_hub_by_its_id(tmp_path, config):
    """From the hub's cache, offline: its folder's name is a commit, which is no step."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = tmp_path / "hub" / "models--owner--tuned"
    weights = "model.safetensors" if config == "config.json" else "adapter_model.safetensors"
    for name, text in (
        (f"snapshots/{commit}/{config}", "{}"),
        (f"snapshots/{commit}/{weights}", "w"),
        ("refs/main", commit),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    code = """
from scd_lightning.errors import ScdError
from scd_lightning.existing.saved import find
for name in ("owner/tuned", "owner/other"):
    try:
        (model,) = find(name, "teacher.trajectory")
        print(model.kind, model.step, model.path.name)
    except ScdError as error:
        print(error.what)
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    kind = "transformers" if config == "config.json" else "peft"
    unreachable = "The model is not in the local cache and the hub can't be reached"
    assert done.stdout.splitlines() == [f"{kind} None {commit}", unreachable], done.stderr


PICKLED = {
    "a transformers folder": ("config.json", "pytorch_model.bin"),
    "its shards": ("config.json", "pytorch_model.bin.index.json"),
    "an index of safetensors that names others": ("config.json", "model.safetensors.index.json"),
    "a peft folder": ("adapter_config.json", "adapter_model.bin"),
    "a Lightning checkpoint": ("step=7.ckpt",),
}


@pytest.mark.parametrize(("where", "role"), [("teacher.trajectory", "teacher"), ("anchor.path", "student")])
@pytest.mark.parametrize("kind", PICKLED)
def test_pickles_are_not_opened_unasked(tmp_path, monkeypatch, kind, where, role):
    for name in PICKLED[kind]:
        (tmp_path / name).write_text("{}")
    if PICKLED[kind][-1].endswith(".index.json"):
        (tmp_path / PICKLED[kind][1]).write_text(json.dumps({"weight_map": {"a": "part-1.bin"}}))
        torch.save({"a": torch.ones(2)}, tmp_path / "part-1.bin")
    opened: list[object] = []
    for reader in ("check_intact", "read_pickled"):
        monkeypatch.setattr(saved, reader, opened.append)
    path = tmp_path / "step=7.ckpt" if kind == "a Lightning checkpoint" else tmp_path
    with pytest.raises(ModelError, match=rf"pickled.*Where: {where}.*{role}\.allow_pickle=true"):
        recognise(path, where)
    assert not opened


def test_pickles_beside_safetensors_are_left_alone(run):
    (run / "checkpoint-9" / "pytorch_model.bin").write_bytes(b"\x80")
    found = recognise(run / "checkpoint-9", "teacher.trajectory")
    assert [file.name for file in found.files] == ["model.safetensors"]
    assert not found.pickled
