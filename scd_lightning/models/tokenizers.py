"""Tokenizers: trained on the task's texts, or loaded; and whether a teacher and a student share one."""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from scd_lightning.config.pasting import override_of
from scd_lightning.data.chat import with_still_clock
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.foreign import read_tokenizer

END, PAD = "<|end|>", "<|pad|>"
# Parts of `identity` that a setting can change: which of its tokens begin prompts and end answers.
ENDS = ("bos", "eos")
# Special tokens, by their names in transformers, that stand for no text.
_NEVER_WRITTEN = ("pad_token", "image_token", "audio_token", "video_token")
# Special tokens that a message lists; some tokenizers have hundreds, the common ones first.
_SHOWN = 12


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


def is_trained_here(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether `train_tokenizer` made it, for this run or for that of a model that this one starts from."""
    return tokenizer.convert_ids_to_tokens([0, 1]) == [END, PAD]


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


def everything(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """All that texts become tokens by, and tokens texts: more than what makes two tokenizers the same.

    One model's tokenizer serves two, of which the other is not known by these files.

    Args:
        tokenizer: A fast tokenizer.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # Encoding sets these two each time.
    rest = {name: value for name, value in backend.items() if name not in ("model", "padding", "truncation")}
    rest["model"] = {name: value for name, value in backend["model"].items() if name not in ("vocab", "merges")}
    splits = getattr(tokenizer, "split_special_tokens", False)
    return identity(tokenizer) | {"rest": rest, "splits": splits, "chat_template": tokenizer.chat_template}


def vocabulary_size(tokenizer: PreTrainedTokenizerFast) -> int:
    """Length V of the logits: the tokenizer's, without tokens at its end for padding alone, or for pictures or sound.

    A model of the same family may have no row for these, and no answer holds them.
    """
    size, needed = len(tokenizer), {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id}
    named = [tokenizer.special_tokens_map.get(name) for name in _NEVER_WRITTEN]
    spared = {tokenizer.convert_tokens_to_ids(str(token)) for token in named if token is not None} - needed
    while size - 1 in spared:
        size -= 1
    return size


def check_pair(teacher: PreTrainedTokenizerFast, student: PreTrainedTokenizerFast) -> None:
    """Raises a ModelError where teacher and student do not share one tokenizer."""
    different = differences(teacher, student)
    if different and set(different) <= set(ENDS):
        raise ModelError(
            "Teacher and student are of one family, and begin or end texts with different tokens",
            where="teacher.path, student.path",
            got=told(different, teacher, student),
            expected="one token for both",
            remedy=_remedy(different, teacher, student),
        )
    if different:
        raise ModelError(
            "Teacher and student have different tokenizers, so their distributions are over different tokens",
            where="teacher.path, student.path",
            got=told(different, teacher, student),
            expected="one tokenizer for both",
            remedy="take both models from one family, e.g. teacher=llama student=tinyllama or teacher=llama3_8b "
            "student=llama3_3b",
        )


def differences(one: PreTrainedTokenizerFast, other: PreTrainedTokenizerFast) -> list[str]:
    """In which parts of `identity` two tokenizers differ."""
    pads = {one.pad_token, other.pad_token}
    left, right = identity(one, pads), identity(other, pads)
    for each in (left, right):
        # Where a text's first space goes; models of one family differ in it, and the student's text serves both.
        (each["pre_tokenizer"] or {}).pop("prepend_scheme", None)
    return [name for name in left if left[name] != right[name]]


def told(different: Sequence[str], one: PreTrainedTokenizerFast, other: PreTrainedTokenizerFast) -> str:
    """Differences for a message, the first tokenizer's first: tokens by their text, all else by name."""
    if set(different) <= set(ENDS):
        return "; ".join(f"{name} {_token(one, name)} and {_token(other, name)}" for name in different)
    return f"different {', '.join(different)} ({len(one)} and {len(other)} tokens)"


def _token(tokenizer: PreTrainedTokenizerFast, name: str) -> str:
    token = getattr(tokenizer, f"{name}_token")
    return "none" if token is None else f"{token!r} ({getattr(tokenizer, f'{name}_token_id')})"


def _remedy(different: Sequence[str], teacher: PreTrainedTokenizerFast, student: PreTrainedTokenizerFast) -> str:
    """The overrides that give one model the other's tokens: first the teacher, which learns them as it is tuned."""
    ways = []
    for role, other in (("teacher", student), ("student", teacher)):
        tokens = {name: getattr(other, f"{name}_token") for name in different}
        if None not in tokens.values():
            ways.append(" ".join(override_of(f"{role}.{name}_token", token) for name, token in tokens.items()))
    return f"tune one with the other's: {', or '.join(ways)}"


def load_tokenizer(
    path: str,
    revision: str | None,
    *,
    trust_remote_code: bool,
    where: str,
    bos_token: str | None = None,
    eos_token: str | None = None,
) -> PreTrainedTokenizerFast:
    """Loads a model's fast tokenizer; a missing pad token becomes EOS, which the attention mask makes harmless.

    Args:
        path: Folder or hub id.
        revision: Branch, tag or commit on the hub, or None.
        trust_remote_code: Run code that comes with it.
        where: The argument that named it, for messages.
        bos_token: The token that begins prompts, in place of its own.
        eos_token: The token that ends answers, in place of its own.

    Raises:
        ConfigError: It has no such token.
        ModelError: There is none, it is a slow one, or it has no end-of-sequence token.
    """
    tokenizer: PreTrainedTokenizerFast = read_tokenizer(
        path, where=where, revision=revision, trust_remote_code=trust_remote_code
    )
    role = where.partition(".")[0]
    if not tokenizer.is_fast:
        raise ModelError(
            "The tokenizer can't be used", where=where, got="a slow tokenizer", expected="a fast one (tokenizer.json)"
        )
    for name, token in (("bos_token", bos_token), ("eos_token", eos_token)):
        if token is not None:
            _take(tokenizer, name, token, role)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            "The tokenizer can't be used",
            where=where,
            got="no end-of-sequence token",
            expected="a fast tokenizer (tokenizer.json) with an end-of-sequence token, by tokenizer_config.json",
            remedy=f"name the one that ends its answers: {role}.eos_token=",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = with_still_clock(tokenizer.chat_template)
    return tokenizer


def _take(tokenizer: PreTrainedTokenizerFast, name: str, token: str, role: str) -> None:
    """Makes one of a tokenizer's special tokens its BOS or EOS."""
    special = tokenizer.get_added_vocab()
    if token not in special:
        raise ConfigError(
            "The tokenizer has no such special token",
            where=f"{role}.{name}",
            got=token,
            expected=", ".join(list(special)[:_SHOWN]) or "none: it has no special tokens",
        )
    setattr(tokenizer, name, token)
