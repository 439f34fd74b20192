"""Tokenizers: trained on the task's texts, or loaded; and whether a teacher and a student share one."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from scd_lightning.errors import ModelError
from scd_lightning.models.foreign import read_tokenizer

END, PAD = "<|end|>", "<|pad|>"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE: any text in any language can be encoded, whatever the training texts were.

    Args:
        texts: Training texts.
        vocab_size: Number of tokens, the 256 bytes and 2 special tokens included.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)


def stored_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A tokenizer that `train_tokenizer` made, from the folder that it was saved in."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def identity(tokenizer: PreTrainedTokenizerFast, pads: Collection[str | None] = ()) -> dict[str, Any]:
    """What makes two tokenizers the same: id map, kind, merges or scores, normaliser, pre-tokenizer, BOS and EOS.

    Chat template and pad token may differ: one rendered prompt serves both models, and padding is masked.

    Args:
        tokenizer: A fast tokenizer.
        pads: Pad tokens, left out of the id map.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    model = backend["model"]
    return {
        "vocabulary": {token: i for token, i in sorted(tokenizer.get_vocab().items()) if token not in pads},
        "kind": model["type"],
        "merges": model.get("merges"),
        "scores": model["vocab"] if model["type"] == "Unigram" else None,
        "normaliser": backend.get("normalizer"),
        "pre_tokenizer": backend.get("pre_tokenizer"),
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
    }


def vocabulary_size(tokenizer: PreTrainedTokenizerFast) -> int:
    """Length V of the logits: the tokenizer's, without a pad token at its end.

    Such a token was added for padding alone: a model of the same family may have no row for it, and no answer holds it.
    """
    last = len(tokenizer) - 1
    pad_only = tokenizer.pad_token_id not in (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)
    return last if pad_only and tokenizer.pad_token_id == last else last + 1


def check_pair(teacher: PreTrainedTokenizerFast, student: PreTrainedTokenizerFast) -> None:
    """Raises a ModelError where teacher and student do not share one tokenizer."""
    pads = {teacher.pad_token, student.pad_token}
    left, right = identity(teacher, pads), identity(student, pads)
    for each in (left, right):
        # Where a text's first space goes; models of one family differ in it, and the student's text serves both.
        (each["pre_tokenizer"] or {}).pop("prepend_scheme", None)
    different = [name for name in left if left[name] != right[name]]
    if different:
        raise ModelError(
            "Teacher and student have different tokenizers, so their distributions are over different tokens",
            where="teacher.path, student.path",
            got=f"different {', '.join(different)} ({len(teacher)} and {len(student)} tokens)",
            expected="one tokenizer for both",
            remedy="take both models from one family, e.g. teacher=llama student=tinyllama or teacher=llama3_8b "
            "student=llama3_3b",
        )


def load_tokenizer(path: str, revision: str | None, *, trust_remote_code: bool, where: str) -> PreTrainedTokenizerFast:
    """Loads a model's fast tokenizer; a missing pad token becomes EOS, which the attention mask makes harmless.

    Raises:
        ModelError: There is none, it is a slow one, or it has no end-of-sequence token.
    """
    tokenizer: PreTrainedTokenizerFast = read_tokenizer(
        path, where=where, revision=revision, trust_remote_code=trust_remote_code
    )
    if not tokenizer.is_fast or tokenizer.eos_token_id is None:
        raise ModelError(
            "The tokenizer can't be used",
            where=where,
            got="a slow tokenizer" if not tokenizer.is_fast else "no end-of-sequence token",
            expected="a fast tokenizer (tokenizer.json) with an end-of-sequence token",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
