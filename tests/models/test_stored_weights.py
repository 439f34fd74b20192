"""Pretrained weights that are not whole, or not those of their architecture, are refused before they are loaded."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch.optim import AdamW

from scd_lightning.errors import ModelError
from scd_lightning.models import hub
from scd_lightning.models.loading import build_empty, check_reachable
from scd_lightning.models.spec import StudentSpec
from scd_lightning.models.stored_weights import check_numbers, check_stored, stored_files
from scd_lightning.models.tokenizers import train_tokenizer


def spec(path, **fields):
    return StudentSpec(name="tiny", optimizer=AdamW, path=str(path), **fields)


@pytest.fixture(params=["llama", "gpt2"])
def folder(request, tmp_path, make_model):
    make_model(request.param, dtype=torch.float32).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def in_shards(tmp_path, make_model):
    make_model("llama", dtype=torch.float32).save_pretrained(tmp_path / "shards", max_shard_size="30KB")
    return tmp_path / "shards"


def rewrite(file, change):
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def test_whole_weights_pass_in_silence(folder, in_shards):
    for each in (folder, in_shards):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_reachable(spec(each), "student.path")
            check_numbers(spec(each))


def test_a_missing_tensor(folder):
    rewrite(folder / "model.safetensors", lambda tensors: tensors.pop(next(name for name in tensors if ".1." in name)))
    with pytest.raises(ModelError, match=r"lack tensors.*Where: student\.path.*1 missing in .*model, such as .*Remedy"):
        check_stored(spec(folder))


def test_a_tensor_of_another_shape(folder):
    name = "model.norm.weight"

    def change(tensors):
        nonlocal name
        name = next(each for each in tensors if each.endswith(("model.norm.weight", "ln_f.weight")))
        tensors[name] = torch.ones(31)

    rewrite(folder / "model.safetensors", change)
    with pytest.raises(ModelError, match=rf"other shapes.*1 in .*, such as .*{name} of \[31\]\. Expected: \[32\]"):
        check_stored(spec(folder))


def test_a_configuration_of_another_model(folder):
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] = 1000
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"other shapes.*\[320, 32\].*Expected: \[1000, 32\]"):
        check_stored(spec(folder))


def test_layers_that_the_configuration_lacks_are_told_of(folder):
    config = json.loads((folder / "config.json").read_text())
    layers = next(field for field in ("num_hidden_layers", "n_layer") if field in config)
    (folder / "config.json").write_text(json.dumps(config | {layers: 1}))
    with pytest.warns(UserWarning, match=r"student\.path: \d+ tensors .* are not read, such as .*1"):
        check_stored(spec(folder))


def test_a_missing_shard_and_one_that_is_cut(in_shards):
    second = sorted(in_shards.glob("*.safetensors"))[1]
    content = second.read_bytes()
    second.write_bytes(content[:-8])
    with pytest.raises(ModelError, match=rf"not as long as it has to be.*{second.name}.*by its own header"):
        check_reachable(spec(in_shards), "student.path")
    second.unlink()
    with pytest.raises(ModelError, match=f"A part of the weights is missing.*no {second.name}.*Remedy"):
        check_reachable(spec(in_shards), "student.path")


def test_shards_without_their_index(in_shards):
    (in_shards / "model.safetensors.index.json").unlink()
    with pytest.raises(ModelError, match=r"no weights of a whole model.*model-00001.*model\.safetensors\.index\.json"):
        check_reachable(spec(in_shards), "student.path")


def test_adapters_are_no_model(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"no weights of a whole model.*adapter_model\.safetensors.*merge_and_unload"):
        check_reachable(spec(folder), "student.path")


def test_a_model_with_adapters_beside_it(folder):
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "owner/other"}')
    with pytest.raises(ModelError, match=r"adapters too.*Where: student\.path.*adapter_config\.json.*merge_and_unload"):
        check_reachable(spec(folder), "student.path")


def test_a_configuration_that_names_the_file_of_weights(folder):
    (folder / "model.safetensors").rename(folder / "own.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": "own.safetensors"}))
    assert stored_files(spec(folder)) == (folder / "own.safetensors",)
    check_stored(spec(folder))


def test_pickled_weights_where_they_are_allowed(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tensors[min(tensors)][..., 0] = torch.nan
    file = folder / "pytorch_model.bin"
    torch.save(tensors, file)
    allowed = spec(folder, allow_pickle=True)
    check_reachable(allowed, "student.path")
    with pytest.raises(ModelError, match=rf"not a finite number.*{min(tensors)} in .*pytorch_model\.bin"):
        check_numbers(allowed)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"can't be read.*pytorch_model\.bin"):
        check_reachable(allowed, "student.path")
    file.write_text("<html>not found</html>")
    with pytest.raises(ModelError, match=r"A web page.*pytorch_model\.bin"):
        check_reachable(allowed, "student.path")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_numbers(in_shards, value, dtype):
    file = sorted(in_shards.glob("*.safetensors"))[1]

    def change(tensors):
        for name in tensors:
            tensors[name] = tensors[name].to(dtype)
        tensors[min(tensors)].view(-1)[3:5] = value

    rewrite(file, change)
    check_stored(spec(in_shards))
    with pytest.raises(ModelError, match=rf"not a finite number. Where: \S+ in .*{file.name}. Got: 2 NaN or infinite"):
        check_numbers(spec(in_shards))


def test_files_that_were_found_good_are_not_read_again(folder, monkeypatch):
    check_numbers(spec(folder))
    with monkeypatch.context() as patched:
        patched.setattr("scd_lightning.models.stored_weights.read_tensors", None)
        check_numbers(spec(folder))
    rewrite(folder / "model.safetensors", lambda tensors: tensors[min(tensors)].fill_(torch.nan))
    with pytest.raises(ModelError, match="not a finite number"):
        check_numbers(spec(folder))


def test_the_largest_numbers_are_numbers(folder):
    rewrite(folder / "model.safetensors", lambda tensors: tensors[min(tensors)].fill_(torch.finfo(torch.float32).max))
    check_numbers(spec(folder))


def test_thinned_models_are_read_whole(folder):
    check_stored(spec(folder, keep_layers=1))
    rewrite(folder / "model.safetensors", lambda tensors: tensors.pop(next(n for n in tensors if ".1." in n)))
    with pytest.raises(ModelError, match="lack tensors"):
        check_stored(spec(folder, keep_layers=[0]))


def test_fewer_embeddings_than_tokens_show_without_weights(folder):
    texts = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"]
    with pytest.raises(ModelError, match=r"fewer embeddings.*320 embeddings.*400 or more"):
        build_empty(spec(folder), train_tokenizer(texts, 400))


# A hub's model, of which the cache has a part


@pytest.fixture
def cached(in_shards, monkeypatch):
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_, **__: str(in_shards / "config.json"))
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_, **__: str(in_shards / "config.json"))
    return in_shards


def test_what_the_cache_has_whole_is_checked(cached):
    assert stored_files(spec("owner/model")) == tuple(sorted(cached.glob("*.safetensors")))
    check_stored(spec("owner/model"))
    first = min(cached.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:-8])
    with pytest.raises(ModelError, match=first.name):
        check_stored(spec("owner/model"))


@pytest.mark.parametrize("gone", ["model-00002*", "*.safetensors*"])
def test_what_is_still_to_be_fetched_is_not(cached, gone, monkeypatch):
    for file in cached.glob(gone):
        Path(file).unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    check_stored(spec("owner/model"))
    check_numbers(spec("owner/model"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"not all in the local cache.*owner/model without .*unset HF_HUB_OFFLINE"):
        check_stored(spec("owner/model"))
