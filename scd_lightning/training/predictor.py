"""Per-sample losses and answers of a finished model, sharded over ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from lightning import LightningModule
from transformers import PreTrainedTokenizerFast
from typing_extensions import override

from scd_lightning.batch import Batch, TokenizedSample
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.models.answers import Answer
from scd_lightning.models.candidates import PromptsRead, best_candidates, read_with_gold
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import greedy_decode
from scd_lightning.training.data_module import EncodedData


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one sample.

    Attributes:
        index: Position in the split.
        loss: Mean completion-token loss of the gold answer, in nats; None where it was not asked for.
        answer: The model's own answer, for `TaskData.judge`; None where only the loss was asked for.
        probability: The model's own of its answer; None where it was not asked for.
        lines: Of each line of a generated answer likewise.
        ended: Whether the answer is whole, and was not cut after `max_new_tokens`.
    """

    index: int
    loss: float | None
    answer: str | int | None = None
    probability: float | None = None
    lines: Sequence[float] | None = None
    ended: bool = True


def gold_outputs(
    model: CausalLM, data: EncodedData, split: str, batch: Batch, answers: bool
) -> tuple[Unprojected, PromptsRead | None]:
    """The model's outputs on a batch's gold answers, and what its own answers need of the same pass.

    Args:
        model: The model.
        data: The data, encoded.
        split: The split that the batch comes from.
        batch: The batch.
        answers: Whether the model will answer.
    """
    if answers and data.task.chooses:
        return read_with_gold(model, batch, _samples(data, split, batch))
    return model.outputs(batch), None


def answer(
    model: CausalLM,
    data: EncodedData,
    tokenizer: PreTrainedTokenizerFast,
    split: str,
    batch: Batch,
    read: PromptsRead | None = None,
    probabilities: bool = False,
) -> dict[int, Answer]:
    """Has the model answer a batch's samples, by the best candidate's index or by greedy decoding.

    Validation and evaluation ask alike.

    Args:
        model: The model.
        data: The data, encoded.
        tokenizer: The tokenizer that encoded it.
        split: The split that the batch comes from.
        batch: The batch.
        read: What `gold_outputs` has read of it, if it has.
        probabilities: Whether candidates' probabilities are asked for; those of texts cost nothing.

    Returns:
        The answer to each real sample, by its position in the split.
    """
    if not any(batch.real) and not model.sharded:  # Of a sharded model, the other processes count on this one.
        return {}
    samples = _samples(data, split, batch)
    if data.task.chooses:
        # Any id that every model of the family has will do for padding; the pad token may lie past this one's rows.
        answers = best_candidates(model, samples, tokenizer.eos_token_id, read, probabilities)
    else:
        answers = greedy_decode(model, tokenizer, samples, data.max_new_tokens)
    rows = zip(batch.indices, answers, batch.real, strict=True)
    return {index: each for index, each, real in rows if real}


def _samples(data: EncodedData, split: str, batch: Batch) -> list[TokenizedSample]:
    return [data.tokenized[split][index] for index in batch.indices]


class Predictor(LightningModule):
    """Collects predictions under `Trainer.predict`.

    Args:
        model: The model.
        data: The data, encoded.
        tokenizer: The tokenizer that encoded it.
        split: The split that the batches come from.
        losses: Whether the model scores the gold answers.
        answers: Whether the model answers.
        probabilities: Whether candidates' probabilities are asked for.
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
        probabilities: bool,
        keep: Callable[[list[Prediction]], None],
    ) -> None:
        super().__init__()
        self.lm, self.data, self.tokenizer, self.split = model, data, tokenizer, split
        self.losses, self.answers, self.probabilities, self.keep = losses, answers, probabilities, keep

    @override
    def configure_model(self) -> None:
        """Nothing, but Lightning's strategies for sharded models insist on it: the model comes sharded or whole."""

    @torch.no_grad()
    @override
    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        losses, read = [None] * batch.size, None
        if self.losses:
            outputs, read = gold_outputs(self.lm, self.data, self.split, batch, self.answers)
            token_losses = chunked_cross_entropy(outputs, batch.targets)
            losses = per_sample_mean(token_losses, batch.rows, batch.size).tolist()
        answers: dict[int, Answer] = {}
        if self.answers:
            answers = answer(self.lm, self.data, self.tokenizer, self.split, batch, read, self.probabilities)
        predictions = []
        for index, loss, real in zip(batch.indices, losses, batch.real, strict=True):
            if real:
                found = answers.get(index)
                own = () if found is None else (found.value, found.probability, found.lines, found.ended)
                predictions.append(Prediction(index, loss, *own))
        self.keep(predictions)
