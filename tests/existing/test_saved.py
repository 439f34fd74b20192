"""What lies at a path, and in which order."""

import json
import shutil

import pytest
import torch

from scd_lightning.errors import ConfigError
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
    assert len(find(str(tmp_path), "teacher.trajectory")) == 1


def test_contents_and_not_names_make_the_digest(run, tmp_path):
    shutil.copytree(run / "checkpoint-9", tmp_path / "elsewhere-9")
    first, moved = (recognise(path, "x").contents() for path in (run / "checkpoint-9", tmp_path / "elsewhere-9"))
    assert first == moved != recognise(run / "checkpoint-10", "x").contents()


def test_nothing_there(tmp_path):
    with pytest.raises(ConfigError, match="There is nothing at the path"):
        find(str(tmp_path / "none-*"), "teacher.trajectory")
