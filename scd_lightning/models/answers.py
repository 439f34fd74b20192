"""A model's answers to samples of a split, judged: what validation and evaluation have in common."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from scd_lightning.data.base import DomainDataModule
from scd_lightning.metrics.judgement import Judgement
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import best_candidates, greedy_decode


def answer(
    model: CausalLM, data: DomainDataModule, tokenizer: PreTrainedTokenizerFast, split: str, indices: Sequence[int]
) -> list[Judgement]:
    """Has the model answer samples of a split, by the best candidate or by greedy decoding, and judges the answers."""
    samples = [data.tokenized[split][i] for i in indices]
    answers: list[str | int]
    if data.answer_kind == "choice":
        # Any id that every model of the family has will do for padding; the pad token may lie past this one's rows.
        answers = [*best_candidates(model, samples, tokenizer.eos_token_id)]
    else:
        answers = [*greedy_decode(model, tokenizer, samples, data.max_new_tokens or 1)]
    return [data.judge(split, index, each) for index, each in zip(indices, answers, strict=True)]
