"""Which files hold a folder's weights, and what stands in their place."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from scd_lightning.errors import ModelError
from scd_lightning.models.weight_files import check_intact, check_shards, find_weights

SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
TENSORS = {"a": torch.ones(30, 4), "b": torch.zeros(7)}


def index(folder, files, name=SAFE):
    (folder / f"{name}.index.json").write_text(json.dumps({"weight_map": {f"t{i}": f for i, f in enumerate(files)}}))


def shards(folder, count, total=None, name="model"):
    names = [f"{name}-{i:05}-of-{total or count:05}.safetensors" for i in range(1, count + 1)]
    for each in names:
        (folder / each).touch()
    return names


def names(files):
    return [file.name for file in files]


def test_a_whole_file_goes_before_shards_and_safetensors_before_pickled_ones(tmp_path):
    assert find_weights(tmp_path, (SAFE, PICKLED)) == ()
    (tmp_path / PICKLED).touch()
    assert find_weights(tmp_path, (SAFE,)) == ()
    assert names(find_weights(tmp_path, (SAFE, PICKLED))) == [PICKLED]
    index(tmp_path, shards(tmp_path, 2))
    assert len(find_weights(tmp_path, (SAFE, PICKLED))) == 2
    (tmp_path / SAFE).touch()
    assert names(find_weights(tmp_path, (SAFE, PICKLED))) == [SAFE]


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("{}", "no weight_map"),
        ('{"weight_map": {}}', "no weight_map"),
        ('{"weight_map": ["model.safetensors"]}', "no weight_map"),
        ('{"weight_map": {"a": 3}}', "no weight_map"),
        ('{"weight_map": {"a": "../other/model.safetensors"}}', "other/model"),
        ('{"weight_map": {"a": "/etc/model.safetensors"}}', "/etc/model"),
    ],
)
def test_an_index_that_names_nothing_or_something_elsewhere(tmp_path, content, got):
    (tmp_path / f"{SAFE}.index.json").write_text(content)
    with pytest.raises(ModelError, match=rf"The index of the weights can't be used.*index\.json.*Got: .*{got}"):
        find_weights(tmp_path, (SAFE,))


def test_shards_that_are_missing_are_named(tmp_path):
    there = shards(tmp_path, 6)
    index(tmp_path, there)
    check_shards(find_weights(tmp_path, (SAFE,)))
    for each in there[1:]:
        (tmp_path / each).unlink()
    with pytest.raises(ModelError, match=r"A part.*no model-00002-of-00006.* and 2 more\. Expected: 6 files.*Remedy"):
        check_shards(find_weights(tmp_path, (SAFE,)))


def test_shards_of_other_weights_beside_them(tmp_path):
    index(tmp_path, shards(tmp_path, 2))
    shards(tmp_path, 1, name="consolidated")  # Of another kind, and nobody's business.
    check_shards(find_weights(tmp_path, (SAFE,)))
    shards(tmp_path, 3)
    with pytest.raises(
        ModelError, match="does not name.*Got: model-00001-of-00003.safetensors, .*Expected: .*of-00002"
    ):
        check_shards(find_weights(tmp_path, (SAFE,)))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 538090408\n"
PLACE_HOLDERS = {
    "a pointer": (LFS, "A pointer of Git LFS.*git lfs pull"),
    "a page": (b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>", "A web page.*HF_TOKEN"),
    "an answer in XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "A web page"),
    "an error": (b'{"error": "Repository not found"}', "can't be read.*a text: .*Repository not found"),
    "a text in another language": ("資料が見つかりません\n".encode() * 40, "can't be read.*a text: 資料"),
    "nothing": (b"", "can't be read.*an empty file"),
}


@pytest.mark.parametrize("name", [SAFE, "model-00001-of-00002.safetensors", PICKLED, "step=3.ckpt"])
@pytest.mark.parametrize("kind", PLACE_HOLDERS)
def test_what_stands_in_place_of_weights(tmp_path, kind, name):
    content, message = PLACE_HOLDERS[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"(?s){message}") as raised:
        check_intact(tmp_path / name)
    assert raised.value.where == tmp_path / name
    assert raised.value.remedy


@pytest.mark.parametrize("save", ["safetensors", "torch", "torch before 1.6"])
def test_files_that_are_whole_and_then_cut(tmp_path, save):
    file = tmp_path / (SAFE if save == "safetensors" else PICKLED)
    if save == "safetensors":
        save_file(TENSORS, file)
    else:
        torch.save(TENSORS, file, _use_new_zipfile_serialization=save == "torch")
    check_intact(file)
    if save == "torch before 1.6":  # Tells no size: reading it shows.
        return
    whole = file.read_bytes()
    for keep in (len(whole) - 1, len(whole) // 2, 90):
        file.write_bytes(whole[:keep])
        with pytest.raises(ModelError, match="can't be read"):
            check_intact(file)


def test_a_cut_file_tells_both_sizes(tmp_path):
    save_file(TENSORS, tmp_path / SAFE)
    size = (tmp_path / SAFE).stat().st_size
    with (tmp_path / SAFE).open("ab") as stream:
        stream.write(b"\0" * 1000)
    with pytest.raises(ModelError, match=rf"Got: {size + 1000:,} bytes\. Expected: {size:,}, by its own header"):
        check_intact(tmp_path / SAFE)


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8 + b"{}",
        b"{",
        b"[]",
        b'{"a": 3}',
        b'{"a": {"data_offsets": []}}',
        b'{"a": {"data_offsets": [0, "x"]}}',
    ]
    + [b"[" * 100_000, b'{"a": {"data_offsets": [0, 1e400]}}', b'"\xff"'],
    ids=range(9),
)
def test_headers_that_are_none(tmp_path, header):
    content = header if header.startswith(b"\xff" * 8) else struct.pack("<Q", len(header)) + header
    (tmp_path / SAFE).write_bytes(content + b"\0" * 16)
    with pytest.raises(ModelError, match="A file of weights can't be read"):
        check_intact(tmp_path / SAFE)
