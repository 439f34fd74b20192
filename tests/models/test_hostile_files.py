"""Every reader of foreign files, on files that nobody should have to read: a refusal in a paragraph, or a model."""

import io
import json
import pickle
import shutil
import struct

import pytest
import torch
from safetensors.torch import save

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models import foreign
from scd_lightning.models.gguf import convert_gguf, find_gguf
from scd_lightning.models.loading import build_empty, check_reachable
from scd_lightning.models.spec import StudentSpec
from scd_lightning.models.tensor_files import read_infos, read_tensors
from scd_lightning.models.tokenizers import identity, load_tokenizer
from tests.models.hostile import HTML, no_json, other_values, spoilt
from tests.models.hostile_models import write_gguf, write_model


def refused(read, kinds=ModelError):
    """The refusal of a file, or None where it can be read; anything else that is raised fails the test."""
    error = None
    try:
        read()
    except kinds as raised:
        error = raised
    assert "\n" not in str(error)
    assert len(str(error)) < 1500
    return error


def refusals(file, contents, read, kinds=ModelError):
    """How many of these contents are refused, of how many."""
    found = []
    for content in contents:
        file.write_bytes(content)
        found.append(refused(read, kinds))
    return sum(each is not None for each in found), len(found)


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory):
    """A model's folder that nothing is wrong with."""
    folder = tmp_path_factory.mktemp("whole")
    write_model(folder, tokenizer)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "model")
    return tmp_path / "model"


def spec(folder):
    return StudentSpec(name="", optimizer=list, path=str(folder))


def test_configurations(folder, tokenizer):
    file = folder / "config.json"
    good = file.read_bytes()

    def read():
        check_reachable(spec(folder), "student.path")
        build_empty(spec(folder), tokenizer)

    bad, of = refusals(file, no_json(good), read, (ModelError, ConfigError))
    assert bad == of > 20
    bad, of = refusals(file, (content for _, content in other_values(good, 60)), read, (ModelError, ConfigError))
    assert of / 3 < bad < of


@pytest.mark.parametrize("name", ["num_hidden_layers", "num_local_experts"])
def test_countless_parts_are_not_begun(folder, name):
    file = folder / "config.json"
    content = json.loads(file.read_bytes())
    file.write_text(json.dumps(content | {"inner": {name: 10**12}}))
    with pytest.raises(ModelError, match=f"more parts than any model has. Where: {name} in .*Got: 1000000000000"):
        foreign.read_config(folder, where="student.path")


def test_tokenizers(folder):
    def read():
        identity(load_tokenizer(str(folder), None, trust_remote_code=False, where="student.path"))

    file = folder / "tokenizer.json"
    good = file.read_bytes()
    bad, of = refusals(file, no_json(good), read)
    assert bad == of > 20
    bad, of = refusals(file, (content for _, content in other_values(good, 40)), read)
    assert bad > of / 2
    file.write_bytes(good)
    file = folder / "tokenizer_config.json"
    good = file.read_bytes()
    bad, of = refusals(file, (*no_json(good), *(content for _, content in other_values(good, 20))), read)
    assert bad > of / 2


def test_adapters_and_other_json(tmp_path):
    file = tmp_path / "adapter_config.json"
    bad, of = refusals(file, no_json(b'{"peft_type": "LORA", "r": 4}'), lambda: foreign.read_json(file))
    assert bad == of - 1  # an empty object is one
    file.unlink()
    file.mkdir()
    assert refused(lambda: foreign.read_json(file)) is not None


def test_weights(folder):
    file = folder / "model.safetensors"
    good = file.read_bytes()

    def read():
        foreign.read_model(folder, where="student.path", dtype=torch.float32)

    (length,) = struct.unpack("<Q", good[:8])
    heads = [struct.pack("<Q", count) + good[8:] for count in (0, 1, length + 1, 2**40, 2**63)]
    bad, of = refusals(file, (*spoilt(good, 0), *heads), read)
    assert bad == of > 15


def test_tensors(tmp_path):
    file = tmp_path / "model.safetensors"
    good = save({"a": torch.ones(4, 4), "b": torch.zeros(3, dtype=torch.bfloat16)})
    (length,) = struct.unpack("<Q", good[:8])
    head, rest = good[8 : 8 + length], good[8 + length :]
    heads = [b'{"a":' + b"[" * 5000, *(content for _, content in other_values(head.rstrip(), 30))]
    others = (struct.pack("<Q", len(each)) + each + rest for each in heads)
    bad, of = refusals(file, (*spoilt(good, 0), *others), lambda: (read_infos([file]), list(read_tensors([file]))))
    assert of > 40
    assert bad > of * 0.8


@pytest.mark.parametrize("suffix", ["bin", "ckpt"])
def test_pickles(tmp_path, suffix):
    file = tmp_path / f"model.{suffix}"
    stream = io.BytesIO()
    torch.save({"a": torch.ones(3)}, stream)
    values = [None, 3, [1], {"state_dict": 3}]
    pickles = [
        *(pickle.dumps(value, protocol=2) for value in values),
        b"\x80\x02" + b"]" * 90_000 + b".",
        b"\x80\x02r\xff\xff\xff\xff.",
    ]
    contents = (*spoilt(stream.getvalue(), 8), *pickles, b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".")
    bad, of = refusals(file, contents, lambda: (read_infos([file]), list(read_tensors([file]))))
    assert of > 30
    assert bad > of * 0.6


CARDS = (
    "license: 2024-99-99",
    "license: 2024-01-01",
    "license: {a: b}",
    "license: [" * 3000,
    "license: !!python/object/apply:os.system [ls]",
    "license: " + "9" * 5000,
    "a: &a [x, x]\nb: &b [*a, *a]\nlicense: [*b, *b]",
    "? [a]\n: b",
    "<<: 3",
    "license: *nobody",
    "\x00",
)


def test_cards(tmp_path):
    card = tmp_path / "README.md"
    for head in CARDS:
        card.write_text(f"---\n{head}\n---\nText.", encoding="utf-8")
        assert foreign.read_card_head(card) == {}
    card.write_bytes(b"\xff\xfe---\n")
    assert foreign.read_card_head(card) == {}
    card.write_text("---\nlicense: mit\ntags: [a]\nyear: 2024\n---\nText.")
    assert foreign.read_card_head(card) == {"license": "mit"}


@pytest.fixture
def gguf(tmp_path):
    """A file that no model can be made of, as it lacks tensors, and in which nothing else is wrong."""
    file = tmp_path / "model.gguf"
    write_gguf(file)
    return file


def put(content, at, form, value):
    return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]


def test_gguf_files(gguf, tmp_path):
    good = gguf.read_bytes()
    tokens = good.index(b"tokenizer.ggml.tokens") + len(b"tokenizer.ggml.tokens") + 4
    layers = good.index(b"llama.block_count") + len(b"llama.block_count") + 4
    contents = [
        *spoilt(good, 6),
        *(put(good, 4, "<I", version) for version in (0, 1, 99)),
        *(put(good, at, "<Q", count) for at in (8, 16, 24) for count in (10**6, 2**62, 2**63)),
        *(put(good, tokens, "<I", kind) for kind in (6, 9, 77)),
        *(put(good, tokens + 4, "<Q", count) for count in (0, 10**7, 2**60)),
        *(put(good, layers, "<I", count) for count in (0, 7, 10**6, 2**32 - 1)),
    ]

    def read():
        find_gguf(str(gguf), "student.gguf")
        convert_gguf(gguf, tmp_path / "folder", torch.float32, "student.gguf")
        pytest.fail("this file holds no whole model")

    bad, of = refusals(gguf, contents, read)
    assert bad == of > 40
    assert not (tmp_path / "folder").exists()


def test_tensors_that_a_gguf_file_lacks_are_not_made_up(gguf, tmp_path):
    with pytest.raises(ModelError, match=r"The weights lack tensors.*such as model\.layers\.0"):
        convert_gguf(gguf, tmp_path / "folder", torch.float32, "student.gguf")


def test_a_page_in_place_of_a_gguf_file(gguf):
    gguf.write_bytes(HTML)
    with pytest.raises(ModelError, match="The file is no GGUF file"):
        find_gguf(str(gguf), "student.gguf")
