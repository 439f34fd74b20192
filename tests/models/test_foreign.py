"""What is closed unless it is asked for, and what can't be read; how models fail to load is in `test_loading`."""

import inspect
import os

import pytest
import torch
from safetensors.torch import save_file

from scd_lightning.errors import ModelError
from scd_lightning.models import foreign
from scd_lightning.models.file_digests import file_digest


@pytest.mark.parametrize("read", [foreign.read_config, foreign.read_tokenizer, foreign.read_model])
def test_code_and_pickles_are_off_by_default(read):
    given = inspect.signature(read).parameters
    assert given["trust_remote_code"].default is False
    assert "allow_pickle" not in given or given["allow_pickle"].default is False


@pytest.mark.parametrize(("content", "said"), [("{", "can't be read"), ("[1]", "is no JSON object.*Got: list")])
def test_json_beside_the_weights(tmp_path, content, said):
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(ModelError, match=said):
        foreign.read_json(file)
    file.write_text('{"a": 1}')
    assert foreign.read_json(file) == {"a": 1}


@pytest.mark.parametrize("card", ["", "no head", "---\n[1]\n---\n", "---\na: [\n---\n", "x\n---\na: 1\n---\n"])
def test_a_card_without_a_head_that_can_be_read(tmp_path, card):
    (tmp_path / "README.md").write_text(card)
    assert foreign.read_card_head(tmp_path / "README.md") == {}
    assert foreign.read_card_head(tmp_path / "none.md") == {}


def test_tensors(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(2)}, file)
    with foreign.open_safetensors(file) as opened:
        assert opened.get_tensor("a").tolist() == [1, 1]
    file.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="A file of weights can't be read"), foreign.open_safetensors(file):
        pytest.fail("it is none")


def test_a_pickle_of_tensors_alone_is_read(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.bin")
    assert foreign.read_pickled(tmp_path / "weights.bin", "meta")["a"].is_meta
    torch.save([1], tmp_path / "list.bin")
    with pytest.raises(ModelError, match="a list in it"):
        foreign.read_pickled(tmp_path / "list.bin", "cpu")
    torch.save({"call": os.system}, tmp_path / "call.bin")
    with pytest.raises(ModelError, match=r"reading that could run code.*Got: posix\.system"):
        foreign.read_pickled(tmp_path / "call.bin", "cpu")


def test_a_digest_is_that_of_what_the_file_holds_now(tmp_path):
    file = tmp_path / "file"
    file.write_text("one")
    first = file_digest(file)
    assert file_digest(file) == first
    file.write_text("other")
    assert file_digest(file) != first
