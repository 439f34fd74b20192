"""A student's tokenizer as other programs use it: what it adds to a prompt by itself is what evaluated prompts have."""

from copy import deepcopy

from tokenizers import processors
from transformers import PreTrainedTokenizerFast

_PROBE = "a"


def exported_tokenizer(tokenizer: PreTrainedTokenizerFast, rows: int) -> PreTrainedTokenizerFast:
    """A copy that needs no options.

    A prompt of a chat template has its begin token already; programs that let the tokenizer add one would give the
    model two. A prompt without a template has the begin token in front, whether the tokenizer adds one or not.

    Args:
        tokenizer: The one that the student was evaluated with.
        rows: How many embeddings the student has.
    """
    copied = deepcopy(tokenizer)
    begins = None if tokenizer.chat_template else tokenizer.bos_token
    if _added(tokenizer) != _with(tokenizer, begins):
        copied.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=[*_named(begins), "$A"],
            pair=[*_named(begins), "$A", "$B:1"],
            special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in _named(begins)],
        )
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id >= rows:
        # It was added for padding alone, and the model has no row for it.
        copied.pad_token = tokenizer.eos_token
    return copied


def _added(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """A text's ids, with what the tokenizer adds by itself."""
    ids: list[int] = tokenizer.backend_tokenizer.encode(_PROBE, add_special_tokens=True).ids
    return ids


def _with(tokenizer: PreTrainedTokenizerFast, begins: str | None) -> list[int]:
    """The same text's ids behind a token."""
    ids = tokenizer.backend_tokenizer.encode(_PROBE, add_special_tokens=False).ids
    return [*(tokenizer.convert_tokens_to_ids(token) for token in _named(begins)), *ids]


def _named(token: str | None) -> list[str]:
    return [] if token is None else [token]
