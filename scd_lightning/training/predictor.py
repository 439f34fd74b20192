"""Per-sample losses and answers of a finished model, sharded over ranks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning import LightningModule
from transformers import PreTrainedTokenizerFast
from typing_extensions import override

from scd_lightning.batch import Batch
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import Answer, best_candidates, greedy_decode
from scd_lightning.training.data_module import EncodedData


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one sample.

    Attributes:
        index: Position in the split.
        loss: Mean completion-token loss of the gold answer, in nats; None where it was not asked for.
        answer: The model's own answer, for `TaskData.judge`; None where only the loss was asked for.
        probability: The model's own of its answer; None without one.
    """

    index: int
    loss: float | None
    answer: str | int | None = None
    probability: float | None = None


def answer(
    model: CausalLM, data: EncodedData, tokenizer: PreTrainedTokenizerFast, split: str, batch: Batch
) -> dict[int, Answer]:
    """Has the model answer a batch's samples, by the best candidate's index or by greedy decoding.

    Validation and evaluation ask alike.

    Returns:
        The answer to each real sample, by its position in the split.
    """
    if not any(batch.real) and not model.sharded:  # Of a sharded model, the other processes count on this one.
        return {}
    samples = [data.tokenized[split][index] for index in batch.indices]
    if data.task.chooses:
        # Any id that every model of the family has will do for padding; the pad token may lie past this one's rows.
        answers = best_candidates(model, samples, tokenizer.eos_token_id)
    else:
        answers = greedy_decode(model, tokenizer, samples, data.max_new_tokens)
    rows = zip(batch.indices, answers, batch.real, strict=True)
    return {index: each for index, each, real in rows if real}


class Predictor(LightningModule):
    """Collects predictions under `Trainer.predict`.

    Args:
        model: The model.
        data: The data, encoded.
        tokenizer: The tokenizer that encoded it.
        split: The split that the batches come from.
        losses: Whether the model scores the gold answers.
        answers: Whether the model answers.
        keep: Takes each batch's predictions.
    """

    def __init__(
        self,
        model: CausalLM,
        data: EncodedData,
        tokenizer: PreTrainedTokenizerFast,
        split: str,
        losses: bool,
        answers: bool,
        keep: Callable[[list[Prediction]], None],
    ) -> None:
        super().__init__()
        self.lm, self.data, self.tokenizer, self.split = model, data, tokenizer, split
        self.losses, self.answers, self.keep = losses, answers, keep

    @override
    def configure_model(self) -> None:
        """Nothing, but Lightning's strategies for sharded models insist on it: the model comes sharded or whole."""

    @torch.no_grad()
    @override
    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        losses: list[float | None] = [None] * batch.size
        if self.losses:
            token_losses = chunked_cross_entropy(self.lm.outputs(batch), batch.targets)
            losses = per_sample_mean(token_losses, batch.rows, batch.size).tolist()
        answers = answer(self.lm, self.data, self.tokenizer, self.split, batch) if self.answers else {}
        predictions = []
        for index, loss, real in zip(batch.indices, losses, batch.real, strict=True):
            if real:
                found = answers.get(index)
                own = (None, None) if found is None else (found.value, found.probability)
                predictions.append(Prediction(index, loss, *own))
        self.keep(predictions)
