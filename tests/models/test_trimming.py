"""A vocabulary cut to what texts need: these are split as before, all others can be encoded, and logits stay."""

import json
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram, WordPiece
from torch import nn
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaModel, PreTrainedTokenizerFast

from scd_lightning.errors import ModelError
from scd_lightning.models.tokenizers import vocabulary_size
from scd_lightning.models.trimming import check_byte_level, check_plain_vocabulary, trim_model, trim_tokenizer

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ患者頭痛薬"
SPLIT = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+")
TEMPLATE = "{% for m in messages %}<|turn|>{{ m.content }}<tool>{% endfor %}"


def words(count: int, seed: int) -> list[str]:
    """Random sentences, English letters and Japanese ones."""
    rng = random.Random(seed)
    pools = ["".join(rng.choices(pool, k=rng.randint(2, 7))) for pool in ("etaoinshrdlu", KANA) for _ in range(150)]
    return [" ".join(rng.choices(pools, k=rng.randint(3, 9))) + f" {rng.randint(0, 999)}" for _ in range(count)]


def trained(*, initial=ALPHABET) -> Tokenizer:
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(
        words(800, 0), trainers.BpeTrainer(vocab_size=1400, initial_alphabet=initial, show_progress=False)
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def gpt2(backend: Tokenizer) -> Tokenizer:
    """One special token, the last of the vocabulary, and nothing that a text begins with."""
    content = json.loads(backend.to_str())
    content["model"]["vocab"]["</s>"] = len(content["model"]["vocab"])
    whole = Tokenizer.from_str(json.dumps(content))
    whole.post_processor = processors.ByteLevel(trim_offsets=False)
    whole.add_special_tokens(["</s>"])
    return whole


def llama3(backend: Tokenizer) -> Tokenizer:
    """All ways to make a token among the merges, whole words taken at once, special tokens behind the vocabulary."""
    content = json.loads(backend.to_str())
    vocabulary = content["model"]["vocab"]
    ways = ([t[:i], t[i:]] for t in vocabulary for i in range(1, len(t)) if t[:i] in vocabulary and t[i:] in vocabulary)
    content["model"] |= {"ignore_merges": True, "merges": list(ways)}
    whole = Tokenizer.from_str(json.dumps(content))
    whole.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(SPLIT, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    whole.add_special_tokens(["<s>", "</s>", "<|turn|>"])
    single = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", whole.token_to_id("<s>"))])
    whole.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), single])
    return whole


def qwen(backend: Tokenizer) -> Tokenizer:
    """Composed characters, and added tokens of which one is not special."""
    backend.normalizer = normalizers.NFC()
    backend.add_special_tokens(["</s>", "<|turn|>"])
    backend.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    return backend


def roberta(backend: Tokenizer) -> Tokenizer:
    backend.add_special_tokens(["<s>", "</s>"])
    end, start = backend.token_to_id("</s>"), backend.token_to_id("<s>")
    assert end is not None
    assert start is not None
    backend.post_processor = processors.RobertaProcessing(("</s>", end), ("<s>", start))
    return backend


KINDS = {kind.__name__: kind for kind in (gpt2, llama3, qwen, roberta)}


@pytest.fixture(scope="module")
def kinds() -> dict[str, PreTrainedTokenizerFast]:
    made = {}
    for name, kind in KINDS.items():
        special = {} if name == "gpt2" else {"bos_token": "<s>"} if name != "qwen" else {"pad_token": "<|turn|>"}
        made[name] = PreTrainedTokenizerFast(tokenizer_object=kind(trained()), eos_token="</s>", **special)
        made[name].chat_template = TEMPLATE
    return made


@pytest.fixture(params=KINDS)
def whole(kinds, request) -> PreTrainedTokenizerFast:
    return kinds[request.param]


def needed(tokenizer, texts) -> set[int]:
    return {token for text in texts for token in tokenizer(text, add_special_tokens=False).input_ids}


def tokens(tokenizer, text, **how) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text, **how).input_ids)


def model_of(tokenizer) -> dict[str, Any]:
    return json.loads(tokenizer.backend_tokenizer.to_str())["model"]


TEXTS = words(30, 1)


def test_texts_are_split_as_before_and_begin_as_before(whole):
    trimmed, kept = trim_tokenizer(whole, needed(whole, TEXTS))
    assert 256 < len(trimmed) < len(whole) / 1.3
    for text in [*TEXTS, "</s>", TEXTS[0] + "</s>"]:
        assert tokens(trimmed, text) == tokens(whole, text)
        assert [kept[token] for token in trimmed(text).input_ids] == whole(text).input_ids
    turn = [{"role": "user", "content": TEXTS[0]}]
    assert trimmed.apply_chat_template(turn, tokenize=False) == whole.apply_chat_template(turn, tokenize=False)


def test_what_is_kept_is_what_is_needed_and_no_more(whole):
    wanted = needed(whole, TEXTS)
    trimmed, kept = trim_tokenizer(whole, wanted)
    assert kept == sorted(kept)
    assert trimmed.convert_ids_to_tokens([*range(len(trimmed))]) == whole.convert_ids_to_tokens(kept)
    assert trimmed.get_added_vocab().keys() == whole.get_added_vocab().keys()
    assert trimmed.all_special_tokens == whole.all_special_tokens
    # A fixed point, pass by pass over all merges.
    names = set(whole.convert_ids_to_tokens(wanted)) | set(ALPHABET) | set(whole.get_added_vocab())
    merges, grown = model_of(whole)["merges"], True
    while grown:
        before = len(names)
        for left, right in merges:
            if left + right in names:
                names |= {left, right}
        grown = len(names) > before
    assert set(trimmed.get_vocab()) == names
    assert model_of(trimmed)["merges"] == [[a, b] for a, b in merges if a + b in names]


def test_the_rest_of_a_tokenizer_stays(whole):
    trimmed, _ = trim_tokenizer(whole, needed(whole, TEXTS))
    for name in ("bos_token", "eos_token", "pad_token", "chat_template", "model_max_length", "padding_side"):
        assert getattr(trimmed, name) == getattr(whole, name)
    before, after = (json.loads(each.backend_tokenizer.to_str()) for each in (whole, trimmed))
    for name in ("normalizer", "pre_tokenizer", "decoder"):
        assert after[name] == before[name]
    plain = [{**each, "id": 0} for each in before["added_tokens"]]
    assert [{**each, "id": 0} for each in after["added_tokens"]] == plain
    assert after["model"]["ignore_merges"] == before["model"]["ignore_merges"]


def test_a_smaller_part_needs_less_and_all_tokens_are_the_whole(whole):
    few, many = (trim_tokenizer(whole, needed(whole, texts))[1] for texts in (TEXTS[:3], TEXTS))
    assert set(few) < set(many)
    trimmed, kept = trim_tokenizer(whole, range(len(whole)))
    assert kept == list(range(len(whole)))
    assert trimmed.get_vocab() == whole.get_vocab()
    assert vocabulary_size(trimmed) == vocabulary_size(whole)


def test_two_make_the_same(whole, tmp_path):
    files = []
    for place in ("one", "other"):
        whole(TEXTS[:2], padding=whole.pad_token is not None, truncation=True, max_length=5)
        trimmed, _ = trim_tokenizer(whole, needed(whole, TEXTS))
        trimmed(TEXTS[:2])
        trimmed.save_pretrained(tmp_path / place)
        files.append({file.name: file.read_bytes() for file in (tmp_path / place).iterdir()})
    assert files[0] == files[1]


@pytest.fixture(scope="module")
def plain(kinds):
    """One that changes no characters, and what is left of it."""
    return kinds["llama3"], *trim_tokenizer(kinds["llama3"], needed(kinds["llama3"], TEXTS))


@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_any_text_can_be_encoded(plain, text):
    whole, trimmed, kept = plain
    ids = trimmed(text, add_special_tokens=False).input_ids
    assert trimmed.decode(ids) == text
    before = whole(text, add_special_tokens=False).input_ids
    assert len(ids) >= len(before)
    if set(before) <= set(kept):
        assert [kept[token] for token in ids] == before


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.text("etaoinあいうえお 0123!\n", min_size=1, max_size=40), min_size=1, max_size=4))
def test_whatever_the_texts_they_are_split_as_before(kinds, texts):
    for whole in kinds.values():
        trimmed, _ = trim_tokenizer(whole, needed(whole, texts))
        assert [tokens(trimmed, text) for text in texts] == [tokens(whole, text) for text in texts]


def byte_fallback() -> Tokenizer:
    backend = Tokenizer(BPE({"a": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}}, [], byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return backend


def at_random() -> Tokenizer:
    backend = Tokenizer(BPE(dict.fromkeys("a", 0), [], dropout=0.5))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    return backend


@pytest.mark.parametrize(
    ("backend", "named"),
    [
        (byte_fallback, "BPE over characters"),
        (at_random, "merges left out at random"),
        (lambda: Tokenizer(Unigram([("a", 0.0)])), "Unigram, a model without merges"),
        (lambda: Tokenizer(WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]")), "WordPiece, a model without merges"),
        (lambda: Tokenizer(BPE(dict.fromkeys("a", 0), [])), "BPE over characters"),
    ],
)
def test_what_is_no_byte_level_bpe_is_refused(backend, named):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend(), eos_token="a")
    with pytest.raises(ModelError, match=rf"can't be cut. Where: teacher.trim_vocabulary. Got: .*{named}"):
        check_byte_level(tokenizer)


def test_byte_level_ones_are_not_refused(whole):
    check_byte_level(whole)


KEPT = [0, 1, 2, 5, 8, 13, 77, 99, 150, 299, 310]
FAMILIES = ["llama", "qwen3", "gpt2", "gptj", "phi", "opt"]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_kept_tokens_stay(make_model, tmp_path, family, tied):
    if family in ("gptj", "phi") and tied:
        pytest.skip("their heads have a bias of their own, and are not tied")
    model = make_model(family, dtype=torch.float32, scale=4.0, tie_word_embeddings=tied)
    ids = torch.tensor([[3, 9, 4, 7, 1, 10, 6]])
    with torch.no_grad():
        expected = model(input_ids=torch.tensor(KEPT)[ids]).logits[..., KEPT]
    before = sum(p.numel() for p in model.parameters())
    trim_model(model, KEPT, "student.path")
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    for each in (model, loaded):
        with torch.no_grad():
            found = each(input_ids=ids).logits
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 5e-7 * expected.abs().max()
        assert (each.get_output_embeddings().weight is each.get_input_embeddings().weight) == tied
        assert each.config.vocab_size == len(KEPT)
    tables = 1 if tied else 2
    width = model.get_input_embeddings().embedding_dim
    biases = 1 if model.get_output_embeddings().bias is not None else 0
    cut = 320 - len(KEPT)
    assert before - sum(p.numel() for p in loaded.parameters()) == cut * (tables * width + biases)


def test_rows_that_a_model_lacks_are_left_out(make_model):
    model = make_model("llama", dtype=torch.float32)
    rows = model.get_input_embeddings().weight.detach().clone()
    trim_model(model, [*KEPT, 320], "student.path")  # A pad token that was added to the tokenizer alone.
    assert torch.equal(model.get_input_embeddings().weight, rows[KEPT])


def test_ends_of_texts_have_their_new_numbers(make_model, tmp_path):
    model = make_model("llama", dtype=torch.float32, bos_token_id=1, eos_token_id=[2, 13], pad_token_id=42)
    model.generation_config = GenerationConfig(eos_token_id=[99, 5], bos_token_id=1, do_sample=True, temperature=0.3)
    trim_model(model, KEPT, "student.path")
    model.save_pretrained(tmp_path)
    config, generation = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("config", "generation_config")
    )
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, [2, 5], None)
    assert (generation["bos_token_id"], generation["eos_token_id"]) == (1, [7, 3])
    assert "temperature" not in generation


def test_what_else_has_the_vocabularys_length_is_refused(make_model):
    model = make_model("llama", dtype=torch.float32)
    model.model.norm.weight = nn.Parameter(torch.zeros(7))
    with pytest.raises(ModelError, match="1 other parameters of that length, such as model.norm.weight.*trim_vocab"):
        trim_model(model, KEPT, "teacher.path")


def test_a_model_without_a_head_is_refused(make_model):
    model = LlamaModel(make_model("llama").config)
    with pytest.raises(ModelError, match="Where: teacher.trim_vocabulary, student.path. Got: Embedding and NoneType"):
        trim_model(model, KEPT, "student.path")


def test_quantized_files_are_refused():
    check_plain_vocabulary({"vocab_size": 3}, "teacher.path")
    with pytest.raises(ModelError, match=r"Where: teacher.trim_vocabulary, teacher.path. Got: gptq"):
        check_plain_vocabulary({"quantization_config": {"quant_method": "gptq"}}, "teacher.path")
