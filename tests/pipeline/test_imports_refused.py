"""Existing models that do not fit are refused with the reason, before anything is trained or loaded."""

import json
import shutil
from collections import OrderedDict
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.tokenizers import train_tokenizer


@pytest.fixture
def folder(full, tmp_path):
    """A copy of the trajectory, to spoil."""
    shutil.copytree(full, tmp_path / "spoiled")
    return tmp_path / "spoiled"


def rewrite(file: Path, change) -> None:
    tensors = OrderedDict(load_file(file))
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def edit(file: Path, **fields) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def nothing(folder, work):
    return f"{folder}/step-*", ConfigError, "There is nothing at the path.*step-"


def empty_list(folder, work):
    return [], ConfigError, "The list of paths is empty"


def no_model(folder, work):
    shutil.rmtree(folder / "checkpoint-4")
    (folder / "checkpoint-4").mkdir()
    (folder / "checkpoint-4" / "notes.txt").touch()
    return folder, ModelError, "There is no fine-tuned model at the path.*checkpoint-4: notes.txt"


def optimizer_alone(folder, work):
    (folder / "checkpoint-4" / "model.safetensors").unlink()
    return folder, ModelError, "a training's state and no weights.*optimizer.pt"


def a_file_of_another_kind(folder, work):
    (folder / "a.pt").touch()
    return folder / "a.pt", ModelError, "There is no fine-tuned model at the path.*a.pt: a file"


def two_of_one_step(folder, work):
    shutil.copytree(folder / "checkpoint-4", folder / "checkpoint-9")
    return folder, ConfigError, "Two checkpoints are of the same optimizer step.*both step 4"


def no_step(folder, work):
    (folder / "checkpoint-4" / "trainer_state.json").unlink()
    (folder / "checkpoint-4").rename(folder / "last")
    return [folder / "checkpoint-2", folder / "last"], ConfigError, "tells no optimizer step"


def mixed_kinds(folder, work):
    paths = [folder / "checkpoint-2", work.root / "runs" / "adapters" / "checkpoint-4"]
    return paths, ConfigError, "different kinds.*transformers.*peft"


def other_shapes(folder, work):
    rewrite(folder / "checkpoint-4" / "model.safetensors", lambda t: t.update({"model.norm.weight": torch.ones(31)}))
    return folder, ModelError, r"other shapes than the teacher.*model.norm.weight in .*Got: \[31\].*Expected: \[32\]"


def missing_tensor(folder, work):
    rewrite(folder / "checkpoint-4" / "model.safetensors", lambda t: t.pop("model.norm.weight"))
    return folder, ModelError, "other tensors.*that the file lacks: model.norm.weight"


def one_layer_more(folder, work):
    def add(tensors):
        tensors["model.layers.2.input_layernorm.weight"] = torch.ones(32)

    rewrite(folder / "checkpoint-4" / "model.safetensors", add)
    return folder, ModelError, "that the teacher lacks: model.layers.2.input_layernorm.weight"


def nothing_in_common(folder, work):
    save_file({"conv.weight": torch.ones(3)}, folder / "checkpoint-4" / "model.safetensors")
    return folder, ModelError, "None of the tensors is one of the teacher's.*conv.weight"


def quantized(folder, work):
    def codes(tensors):
        tensors["model.norm.weight"] = torch.ones(32, dtype=torch.int8)

    rewrite(folder / "checkpoint-4" / "model.safetensors", codes)
    return folder, ModelError, "The weights are quantized.*I8"


def small_vocabulary(folder, work):
    def cut(tensors):
        tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:300].contiguous()

    rewrite(folder / "checkpoint-4" / "model.safetensors", cut)
    return folder, ModelError, "vocabulary is smaller than the tokenizer's.*300 rows.*400"


def other_tokenizer(folder, work):
    train_tokenizer(["quite another text, with quite other words in it"] * 9, 400).save_pretrained(
        folder / "checkpoint-4"
    )
    return folder, ModelError, "another tokenizer.*different vocabulary, merges"


def other_configuration(folder, work):
    edit(folder / "checkpoint-4" / "config.json", rms_norm_eps=0.5)
    return folder, ModelError, "another configuration.*rms_norm_eps in .*Got: 0.5. Expected: 1e-06"


def cut_file(folder, work):
    file = folder / "checkpoint-4" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    return folder, ModelError, "A file of weights can't be read.*checkpoint-4.*by its own header"


def broken_state(folder, work):
    (folder / "checkpoint-4" / "trainer_state.json").write_text("{")
    return folder, ModelError, "A file beside the weights can't be read.*trainer_state.json"


def missing_shard(folder, work):
    path = folder / "checkpoint-4"
    AutoModelForCausalLM.from_pretrained(path).save_pretrained(path, max_shard_size="20KB")
    sorted(path.glob("model-*.safetensors"))[1].unlink()
    (path / "model.safetensors").unlink(missing_ok=True)
    return folder, ModelError, "A part of the weights is missing.*model-00002"


def shard_of_another(folder, work):
    path = folder / "checkpoint-4"
    AutoModelForCausalLM.from_pretrained(path).save_pretrained(path, max_shard_size="20KB")
    shutil.copy(min(path.glob("model-*.safetensors")), path / "model-00001-of-00099.safetensors")
    (path / "model.safetensors").unlink(missing_ok=True)
    return folder, ModelError, "shards of weights that their index does not name.*Got: model-00001-of-00099"


def pointer(folder, work):
    (folder / "checkpoint-4" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    return folder, ModelError, "A pointer of Git LFS.*checkpoint-4.*git lfs pull"


def page(folder, work):
    (folder / "a.ckpt").write_text("<!doctype html><title>Sign in</title>")
    return folder / "a.ckpt", ModelError, "A web page stands in place of the weights.*a.ckpt"


def pickled_objects(folder, work):
    torch.save({"state_dict": {}, "global_step": 3, "hyper_parameters": timedelta(1)}, folder / "a.ckpt")
    return folder / "a.ckpt", ModelError, "more than tensors and plain values.*Got: datetime.timedelta. Remedy"


def no_state_dict(folder, work):
    torch.save({"weights": {}, "global_step": 3}, folder / "a.ckpt")
    return folder / "a.ckpt", ModelError, "no Lightning checkpoint.*global_step, weights"


def two_models(folder, work):
    tensors = load_file(folder / "checkpoint-4" / "model.safetensors")
    both = {f"{who}.{name}": tensor for who in ("old", "new") for name, tensor in tensors.items()}
    torch.save({"state_dict": both, "global_step": 3}, folder / "a.ckpt")
    return folder / "a.ckpt", ModelError, "several models like the teacher.*'old.' and under 'new.'"


def adapters_in_lightning(folder, work):
    torch.save({"state_dict": {"a.lora_A.default.weight": torch.ones(1)}, "global_step": 3}, folder / "a.ckpt")
    return folder / "a.ckpt", ModelError, "does not tell their scale.*teacher.lora.r=0"


CASES = [
    nothing, empty_list, no_model, optimizer_alone, a_file_of_another_kind, two_of_one_step, no_step, mixed_kinds,
    other_shapes, missing_tensor, one_layer_more, nothing_in_common, quantized, small_vocabulary, other_tokenizer,
    other_configuration, cut_file, broken_state, missing_shard, shard_of_another, pointer, page,
    pickled_objects, no_state_dict, two_models,
    adapters_in_lightning,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_trajectories(make_imported, folder, work, adapters, case):
    found, kind, message = case(folder, work)
    paths = [str(path) for path in found] if isinstance(found, list) else str(found)
    with pytest.raises(kind, match=message):
        make_imported(f"teacher.trajectory={json.dumps(paths)}", "teacher.allow_pickle=true")


def test_weights_that_are_not_numbers(make_imported, folder, work):
    def spoil(tensors):
        tensors["model.norm.weight"][3] = torch.nan

    rewrite(folder / "checkpoint-4" / "model.safetensors", spoil)
    message = r"not a finite number. Where: model.norm.weight in .*checkpoint-4.*Got: 1 NaN"
    with pytest.raises(ModelError, match=message):
        make_imported(f"teacher.trajectory='{folder}'", store="nan")
    # An anchor is read after the teacher's training, and so would the message come.
    with pytest.raises(ModelError, match=message):
        make_imported(f"student.path='{work.base}'", f"anchor.path='{folder / 'checkpoint-4'}'", store="nan")
    assert not list((work.root / "nan").glob("*-*"))


def test_a_lightning_checkpoint_that_is_not_numbers_where_it_counts(make_imported, tmp_path, work):
    tensors = {f"net.{name}": tensor for name, tensor in load_file(work.base / "model.safetensors").items()}
    # What the module has besides the model is left out, whatever it is.
    state = tensors | {"mask": torch.full((3,), -torch.inf)}
    torch.save({"state_dict": state, "global_step": 3}, tmp_path / "a.ckpt")
    make_imported(f"teacher.trajectory='{tmp_path / 'a.ckpt'}'", "teacher.allow_pickle=true")
    state["net.model.norm.weight"] = torch.full((32,), torch.inf)
    torch.save({"state_dict": state, "global_step": 3}, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match=r"not a finite number. Where: net.model.norm.weight in .*a.ckpt. Got: 32 NaN"):
        make_imported(f"teacher.trajectory='{tmp_path / 'a.ckpt'}'", "teacher.allow_pickle=true")


def change_rank(path):
    return ["teacher.lora.r=8"], "asked for. Where: teacher.lora.r. Got: 4 .*Expected: 8"


def change_alpha(path):
    return ["teacher.lora.alpha=4"], "Where: teacher.lora.alpha. Got: 12 .*Expected: 4"


def change_targets(path):
    return ["teacher.lora.target_modules=[k_proj]"], r"teacher.lora.target_modules. Got: \['q_proj', 'v_proj'\]"


def change_one(path):
    edit(path / "checkpoint-4" / "adapter_config.json", r=5)
    return [], "The adapters differ among the checkpoints"


def dora(path):
    edit(path / "checkpoint-4" / "adapter_config.json", use_dora=True, rank_pattern={"q_proj": 2})
    return [], r"more than plain LoRA.*rank_pattern=\{'q_proj': 2\}, use_dora=True.*merge"


def pissa(path):
    edit(path / "checkpoint-4" / "adapter_config.json", init_lora_weights="pissa")
    return [], "more than plain LoRA.*init_lora_weights=pissa"


def prompt_tuning(path):
    edit(path / "checkpoint-4" / "adapter_config.json", peft_type="PROMPT_TUNING")
    return [], "adapters are of another kind.*PROMPT_TUNING"


def embeddings_too(path):
    def add(tensors):
        tensors["base_model.model.model.embed_tokens.weight"] = torch.ones(400, 32)

    rewrite(path / "checkpoint-4" / "adapter_model.safetensors", add)
    return [], "that the teacher lacks: base_model.model.model.embed_tokens.weight"


@pytest.mark.parametrize(
    "case", [change_rank, change_alpha, change_targets, change_one, dora, pissa, prompt_tuning, embeddings_too]
)
def test_adapters(make_imported, adapters, tmp_path, case):
    shutil.copytree(adapters, tmp_path / "spoiled")
    options, message = case(tmp_path / "spoiled")
    with pytest.raises(ModelError, match=message):
        make_imported(f"teacher.trajectory='{tmp_path / 'spoiled'}'", *options)


def test_all_weights_and_a_teacher_with_adapters(make_imported, full):
    assert make_imported(f"teacher.trajectory='{full}'", "teacher.lora.r=16").teacher.lora.r == 0
    with pytest.raises(ModelError, match="all weights of the model and no adapters. Where: teacher.lora.r. Got: 8"):
        make_imported(f"teacher.trajectory='{full}'", "teacher.lora.r=8")


@pytest.mark.parametrize(
    ("anchor", "options", "message"),
    [
        ("full/checkpoint-4", [], "The saved model has other shapes than the student"),
        ("full/checkpoint-4", ["student.lora.r=4"], "The student is trained by adapters"),
        ("adapters/checkpoint-4", ["student.lora.r=8"], "Where: student.lora.r. Got: 4 .*Expected: 8"),
        ("adapters/checkpoint-4", [], "The saved model has other shapes than the student"),
        ("none", [], "no fine-tuned model at the path. Where: anchor.path. Got: .*none: nothing"),
    ],
)
def test_anchors(make_imported, work, full, adapters, anchor, options, message):
    with pytest.raises((ModelError, ConfigError), match=message):
        make_imported(f"anchor.path='{full.parent / anchor}'", *options)


def test_adapters_of_another_base_are_told_of(make_imported, adapters, tmp_path, capsys):
    shutil.copytree(adapters, tmp_path / "spoiled")
    edit(tmp_path / "spoiled" / "checkpoint-4" / "adapter_config.json", base_model_name_or_path="some/other-model")
    make_imported(f"teacher.trajectory='{tmp_path / 'spoiled'}'")
    told = " ".join(capsys.readouterr().out.split())
    assert "These adapters were trained on some/other-model; here they are put on base" in told
    assert told.count("These adapters") == 1
