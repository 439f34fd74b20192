"""A model's answers to samples of a split: what validation and evaluation have in common."""

from transformers import PreTrainedTokenizerFast

from scd_lightning.batch import Batch
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import best_candidates, greedy_decode
from scd_lightning.training.data_module import EncodedData


def answer(
    model: CausalLM, data: EncodedData, tokenizer: PreTrainedTokenizerFast, split: str, batch: Batch
) -> dict[int, str | int]:
    """Has the model answer a batch's samples, by the best candidate's index or by greedy decoding.

    Returns:
        The answer to each real sample, by its position in the split, for `data.judge`.
    """
    if not any(batch.real) and not model.sharded:  # Of a sharded model, the other processes count on this one.
        return {}
    samples = [data.tokenized[split][index] for index in batch.indices]
    answers: list[str | int]
    if data.task.chooses:
        # Any id that every model of the family has will do for padding; the pad token may lie past this one's rows.
        answers = [*best_candidates(model, samples, tokenizer.eos_token_id)]
    else:
        answers = [*greedy_decode(model, tokenizer, samples, data.max_new_tokens)]
    rows = zip(batch.indices, answers, batch.real, strict=True)
    return {index: each for index, each, real in rows if real}
