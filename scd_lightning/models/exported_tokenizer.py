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
    copied, begins = deepcopy(tokenizer), None if tokenizer.chat_template else tokenizer.bos_token
    first = [] if begins is None else [(begins, int(tokenizer.bos_token_id))]
    if _ids(tokenizer, added=True) != [*(i for _, i in first), *_ids(tokenizer, added=False)]:
        names = [token for token, _ in first]
        copied.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=[*names, "$A"], pair=[*names, "$A", "$B:1"], special_tokens=first
        )
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id >= rows:
        # It was added for padding alone, and the model has no row for it.
        copied.pad_token = tokenizer.eos_token
    return copied


def _ids(tokenizer: PreTrainedTokenizerFast, *, added: bool) -> list[int]:
    """A text's ids, with or without what the tokenizer adds by itself."""
    found: list[int] = tokenizer.backend_tokenizer.encode(_PROBE, add_special_tokens=added).ids
    return found
