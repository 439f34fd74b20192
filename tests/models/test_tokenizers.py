"""Tokenizers: trained the same everywhere, lossless for any text, and told apart by what matters only."""

import json
import os
import re
import subprocess
import sys
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece
from transformers import PreTrainedTokenizerFast

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.tokenizers import END, PAD, check_pair, load_tokenizer, train_tokenizer, vocabulary_size

# Many pairs occur equally often, so that their order is a matter of the trainer's ties.
TEXTS = [f"{a}{b} {b}{a} 熱が{a}出た。" for a in "abcdefghij" for b in "klmnopqrst"]


def train_elsewhere(threads, seed):
    code = (
        "import sys, json; from scd_lightning.models.tokenizers import train_tokenizer;"
        "print(train_tokenizer(json.load(sys.stdin), 400).backend_tokenizer.to_str())"
    )
    env = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(TEXTS), env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_training_is_the_same_in_every_process():
    here = train_tokenizer(TEXTS, 400).backend_tokenizer.to_str()
    assert train_elsewhere("1", "1") == here


def test_size_and_special_tokens():
    tokenizer = train_tokenizer(TEXTS, 400)
    assert len(tokenizer) == 400
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == (END, 0)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == (PAD, 1)
    assert tokenizer.bos_token_id is None


@pytest.mark.parametrize(
    "text",
    [
        "日本語の文、改行\nとタブ\tも。",
        "emoji 👩‍👩‍👧‍👦 and 🇯🇵",
        " a , b . Don 't do n't ! ",
        "combining e\u0301 stays e\u0301, ﬁ stays ﬁ",
        "\x00\x7f\ufffd\u2028",
        "العربية हिन्दी",
        "",
    ],
)
def test_texts_come_back(text):
    tokenizer = train_tokenizer(TEXTS, 300)
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


TRAINED = train_tokenizer(TEXTS, 300)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(text):
    assert TRAINED.decode(TRAINED(text, add_special_tokens=False).input_ids) == text


def llama_like(
    *, merges=None, normaliser=True, eos="</s>", bos="<s>", pad=None, template=None, scheme="always", added=()
):
    """A tokenizer of Llama 2's kind; what is left out of the arguments is the family's."""
    tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "c", "ab", "▁a", "bc"]
    merges = merges if merges is not None else [("a", "b"), ("▁", "a"), ("b", "c")]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>"))
    if normaliser:
        tokenizer.normalizer = normalizers.Prepend("▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>", *added)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token=bos, eos_token=eos, pad_token=pad
    )
    fast.chat_template = template
    return fast


@pytest.mark.parametrize(
    "student",
    [
        {},
        {"pad": "</s>"},
        {"pad": "<unk>"},
        {"pad": "[PAD]"},
        {"template": "{{ messages[0]['content'] }}"},
        {"pad": "<unk>", "template": "x", "scheme": "first"},
    ],
    ids=str,
)
@pytest.mark.parametrize("teacher", [{}, {"pad": "</s>"}, {"pad": "<pad>"}], ids=str)
def test_padding_and_chat_templates_may_differ(teacher, student):
    teacher, student = llama_like(**teacher), llama_like(**student)
    check_pair(teacher, student)
    check_pair(student, teacher)
    assert vocabulary_size(teacher) == vocabulary_size(student) == 10


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        ({"merges": [("▁", "a"), ("a", "b"), ("b", "c")]}, "different merges "),
        ({"normaliser": False}, "different normaliser "),
        ({"added": ["<extra>"]}, "different vocabulary "),
        ({"merges": [("a", "b")], "normaliser": False, "bos": "</s>"}, "different merges, normaliser, bos "),
    ],
)
def test_what_changes_token_ids_is_refused(student, reason):
    with pytest.raises(ModelError, match="Teacher and student have different tokenizers") as raised:
        check_pair(llama_like(), llama_like(**student))
    assert str(raised.value.got).startswith(reason)
    assert "teacher=llama student=tinyllama" in str(raised.value)


@pytest.mark.parametrize(
    ("teacher", "student", "got", "remedy"),
    [
        (
            {"eos": "<|chat|>"},
            {},
            "eos '<|chat|>' (10) and '</s>' (2)",
            "'teacher.eos_token=\"</s>\"', or 'student.eos_token=\"<|chat|>\"'",
        ),
        (
            {"bos": "<|chat|>", "eos": "<unk>"},
            {},
            "bos '<|chat|>' (10) and '<s>' (1); eos '<unk>' (0) and '</s>' (2)",
            "'teacher.bos_token=\"<s>\"' 'teacher.eos_token=\"</s>\"', or "
            "'student.bos_token=\"<|chat|>\"' 'student.eos_token=\"<unk>\"'",
        ),
        ({}, {"bos": None}, "bos '<s>' (1) and none", "'student.bos_token=\"<s>\"'"),
    ],
)
def test_one_family_with_other_ends_is_told_from_strangers(tmp_path, teacher, student, got, remedy):
    made = {"teacher": llama_like(added=["<|chat|>"], **teacher), "student": llama_like(added=["<|chat|>"], **student)}
    with pytest.raises(ModelError, match="of one family, and begin or end texts with different tokens") as raised:
        check_pair(made["teacher"], made["student"])
    assert raised.value.got == got
    assert str(raised.value.remedy).endswith(f": {remedy}")
    # Each way that is named works.
    for way in remedy.split(", or "):
        loaded = {}
        for role, each in made.items():
            each.save_pretrained(tmp_path / role)
            given = dict(re.findall(rf'{role}\.(\w+)="([^"]+)"', way))
            path = str(tmp_path / role)
            loaded[role] = load_tokenizer(path, None, trust_remote_code=False, where=f"{role}.path", **given)
        check_pair(loaded["teacher"], loaded["student"])


def test_an_end_of_sequence_can_be_named_where_there_is_none(tmp_path):
    llama_like(eos=None).save_pretrained(tmp_path)
    load = partial(load_tokenizer, str(tmp_path), None, trust_remote_code=False, where="student.path")
    assert load(eos_token="</s>").eos_token_id == 2
    with pytest.raises(ConfigError, match=r"no such special token\. Where: student\.eos_token\. Got: <end>.*</s>"):
        load(eos_token="<end>")


def test_a_clock_in_a_chat_template_stands_still(tmp_path):
    llama_like(template="{{ strftime_now('%Y') }}{{ messages[0].content }}").save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path), None, trust_remote_code=False, where="student.path")
    assert loaded.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False) == "2024a"
    # What is exported has it too, and is the same when it is read again.
    loaded.save_pretrained(tmp_path / "again")
    again = load_tokenizer(str(tmp_path / "again"), None, trust_remote_code=False, where="student.path")
    assert again.chat_template == loaded.chat_template


def bare(model):
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), eos_token="b")


@pytest.mark.parametrize(
    ("teacher", "student", "reason"),
    [
        (WordPiece({"a": 0, "b": 1}, unk_token="a"), WordLevel({"a": 0, "b": 1}, unk_token="a"), "kind"),
        (Unigram([("a", -1.0), ("b", -2.0)], 0), Unigram([("a", -2.0), ("b", -1.0)], 0), "scores"),
    ],
)
def test_one_id_map_is_not_enough(teacher, student, reason):
    with pytest.raises(ModelError, match=f"Got: different {reason} "):
        check_pair(bare(teacher), bare(student))
    check_pair(bare(teacher), bare(teacher))


def test_a_trained_tokenizer_keeps_its_pad_token():
    # It stands at 1, in the midst of the ids: only one at the end can be left out.
    assert vocabulary_size(TRAINED) == 300


def test_loading_gives_padding_where_there_is_none(tmp_path):
    llama_like().save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path), None, trust_remote_code=False, where="teacher.path")
    assert loaded.pad_token_id == loaded.eos_token_id == 2


def test_no_end_of_sequence_is_refused(tmp_path):
    llama_like(eos=None).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no end-of-sequence token.*Expected: a fast tokenizer") as raised:
        load_tokenizer(str(tmp_path), None, trust_remote_code=False, where="student.path")
    assert raised.value.where == "student.path"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="The tokenizer could not be loaded"):
        load_tokenizer(str(tmp_path), None, trust_remote_code=False, where="teacher.path")


def test_code_that_a_tokenizer_needs_is_not_run_unasked(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    code = {"AutoTokenizer": ["tokenization_own.Own", None]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Own", "auto_map": code}))
    (tmp_path / "tokenization_own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\n")
    with pytest.raises(ModelError, match=r"could not be loaded.*teacher\.trust_remote_code=true"):
        load_tokenizer(str(tmp_path), None, trust_remote_code=False, where="teacher.path")
    assert not (tmp_path / "harm").exists()
