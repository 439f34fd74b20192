"""A vocabulary cut to the tokens that some texts need: of a byte-level BPE, by which any text can still be encoded."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from torch import nn
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from scd_lightning.errors import ModelError
from scd_lightning.models.thinning import unlike_fresh

SETTING = "teacher.trim_vocabulary"
# Names of special tokens and other properties of a tokenizer that are none of its backend's.
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_PROPERTIES = (
    "chat_template",
    "clean_up_tokenization_spaces",
    "model_max_length",
    "padding_side",
    "split_special_tokens",
)
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def check_byte_level(tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuses a tokenizer whose tokens can't be taken out one by one without some texts being lost.

    Raises:
        ModelError: It is no byte-level BPE.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    model, got = backend["model"], None
    if model["type"] != "BPE":
        got = f"{model['type']}, a model without merges"
    elif not _splits_bytes(backend["pre_tokenizer"]):
        got = "BPE over characters"
    elif model.get("continuing_subword_prefix") or model.get("end_of_word_suffix") or model.get("dropout"):
        got = "BPE with marks of a word's parts, or merges left out at random"
    if got is not None:
        raise ModelError(
            "The vocabulary of this tokenizer can't be cut",
            where=SETTING,
            got=got,
            expected="a byte-level BPE, as GPT-2, Llama 3, Qwen and SmolLM have",
            remedy="teacher.trim_vocabulary=false, or models of such a family",
        )


def _splits_bytes(pre_tokenizer: Mapping[str, Any] | None) -> bool:
    """Whether a text's bytes are what tokens are made of."""
    if pre_tokenizer is None:
        return False
    return pre_tokenizer["type"] == "ByteLevel" or any(map(_splits_bytes, pre_tokenizer.get("pretokenizers", ())))


def trim_tokenizer(
    tokenizer: PreTrainedTokenizerFast, needed: Iterable[int]
) -> tuple[PreTrainedTokenizerFast, list[int]]:
    """A tokenizer of the tokens that are needed, of all bytes, and of all that was added to it: special tokens.

    What a text is split into stays the same where all tokens of that are kept: each merge on the way to them is, in its
    order, and no other merge goes before one. Other texts are split into more tokens, at worst into bytes.

    Args:
        tokenizer: A byte-level BPE: `check_byte_level`.
        needed: Ids of tokens.

    Returns:
        The tokenizer, and by new id each token's old one, which ascend.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary, merges = backend["model"]["vocab"], backend["model"]["merges"]
    always = {token["id"] for token in backend["added_tokens"]} | set(tokenizer.all_special_ids)
    # Where a tokenizer lacks a byte, it has a token for what it does not know.
    names = (*pre_tokenizers.ByteLevel.alphabet(), backend["model"].get("unk_token"))
    always |= {vocabulary[name] for name in names if name in vocabulary}
    kept = sorted(_with_parts(always.union(needed), vocabulary, merges))
    new = {old: place for place, old in enumerate(kept)}
    backend["model"]["vocab"] = {token: new[old] for token, old in vocabulary.items() if old in new}
    # The parts of each are kept, too.
    backend["model"]["merges"] = [merge for merge in merges if vocabulary["".join(merge)] in new]
    backend["added_tokens"] = [token | {"id": new[token["id"]]} for token in backend["added_tokens"]]
    # The last two are set by each encoding: no part of what the tokenizer is.
    backend |= {"post_processor": _renumbered(backend["post_processor"], new), "truncation": None, "padding": None}
    properties = {name: getattr(tokenizer, name) for name in (*_NAMED, *_PROPERTIES)}
    trimmed = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(backend)),
        extra_special_tokens=[str(token) for token in tokenizer.extra_special_tokens],
        **{name: value for name, value in properties.items() if value is not None},
    )
    trimmed.name_or_path = tokenizer.name_or_path
    return trimmed, kept


def _with_parts(ids: set[int], vocabulary: Mapping[str, int], merges: Iterable[Sequence[str]]) -> set[int]:
    """Tokens, and all that any merge makes one of them of, and so on."""
    parts: dict[int, list[int]] = defaultdict(list)
    for merge in merges:
        parts[vocabulary["".join(merge)]] += (vocabulary[part] for part in merge)
    found, left = set(ids), list(ids)
    while left:
        more = set(parts.get(left.pop(), ())) - found
        found |= more
        left += more
    return found


def _renumbered(processor: Any, new: Mapping[int, int]) -> Any:
    """What a tokenizer adds to a text, with the new ids of its tokens."""
    if not processor:
        return processor
    told = dict(processor)
    if "processors" in told:
        told["processors"] = [_renumbered(each, new) for each in told["processors"]]
    if told["type"] == "TemplateProcessing":
        special = told["special_tokens"]
        told["special_tokens"] = {
            name: token | {"ids": [new[old] for old in token["ids"]]} for name, token in special.items()
        }
    for end in ("sep", "cls"):
        if end in told:
            token, old = told[end]
            told[end] = [token, new[old]]
    return told


def check_plain_vocabulary(config: Mapping[str, Any], where: str) -> None:
    """Refuses weights of which no rows can be taken.

    Args:
        config: The content of the model's config.json.
        where: The argument that named the model, for messages.

    Raises:
        ModelError: They are stored quantized.
    """
    if "quantization_config" in config:
        raise ModelError(
            "The weights are stored quantized, so that rows of their vocabulary can't be taken out",
            where=f"{SETTING}, {where}",
            got=config["quantization_config"].get("quant_method"),
            expected="weights of plain numbers; teacher.quantization makes fewer digits of them once they are cut",
            remedy="teacher.trim_vocabulary=false, or take the model as it was before it was quantized",
        )


def trim_model(model: PreTrainedModel, kept: Sequence[int], where: str) -> None:
    """Takes rows out of embeddings and LM head, in place, and renumbers the tokens that the configuration names.

    Args:
        model: A causal language model.
        kept: By new id each token's old one, ascending; those that the model has no row for are left out.
        where: The argument that named the model, for messages.

    Raises:
        ModelError: Something else in it depends on the vocabulary.
    """
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    if not isinstance(embeddings, nn.Embedding) or not isinstance(head, nn.Linear):
        raise _bound(where, f"{type(embeddings).__name__} and {type(head).__name__} as embeddings and LM head")
    rows = torch.tensor([old for old in kept if old < embeddings.num_embeddings])
    tied = head.weight is embeddings.weight
    embeddings.weight = nn.Parameter(embeddings.weight.detach()[rows])
    embeddings.num_embeddings = head.out_features = len(rows)
    head.weight = embeddings.weight if tied else nn.Parameter(head.weight.detach()[rows])
    if head.bias is not None:
        head.bias = nn.Parameter(head.bias.detach()[rows])
    new = {old: place for place, old in enumerate(kept)}
    # Models of text alone have one configuration under both names.
    for config in {id(each): each for each in (model.config, model.config.get_text_config())}.values():
        config.vocab_size = len(rows)
        config.update(_renumbered_ids(config, new))
    # Answers are greedy: whatever else it says is about other ways of generating.
    model.generation_config = GenerationConfig(**_renumbered_ids(model.generation_config or model.config, new))
    if different := unlike_fresh(model):
        raise _bound(where, f"{len(different)} other parameters of that length, such as {different[0]}")


def _renumbered_ids(config: PretrainedConfig | GenerationConfig, new: Mapping[int, int]) -> dict[str, Any]:
    """The ends of texts; None where the configuration names none, or a token that no text has."""
    found: dict[str, Any] = {}
    for name in _IDS:
        old: Any = getattr(config, name, None)
        found[name] = [new[each] for each in old if each in new] if isinstance(old, list) else new.get(old)
    return found


def _bound(where: str, got: str) -> ModelError:
    return ModelError(
        "The vocabulary of this model can't be cut",
        where=f"{SETTING}, {where}",
        got=got,
        expected="a table of embeddings and a linear LM head, and nothing else of the vocabulary's length",
        remedy="teacher.trim_vocabulary=false, or a model of another family (Llama, Qwen, SmolLM, Mistral, ...)",
    )
