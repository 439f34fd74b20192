"""Healing a thinned model: it learns to say of whole texts what the model it was made of says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scd_lightning.batch import Batch, TokenizedSample
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.objective import Objective, ObjectiveResult
from scd_lightning.training.data_module import EncodedData
from scd_lightning.training.fine_tuning import FineTuning, LossPart


def whole_texts(data: EncodedData) -> EncodedData:
    """A task's samples as texts of which every token but the first is to be predicted.

    What is lost by thinning is the language and not a task, and prompts have most of the tokens. Those of train and
    validation go with their gold answers, the form in which the model will meet them; of texts without labels, which
    stand behind the training samples, the prompts are taken alone, since their answers are placeholders.

    Args:
        data: The samples; the test split is left out.
    """
    tokenized = {split: [_whole(each) for each in data.tokenized[split]] for split in ("train", "validation")}
    texts, train = data.samples.get(UNLABELLED, []), [*data.samples["train"]]
    for sample, each in zip(texts, data.tokenized.get(UNLABELLED, []), strict=True):
        if len(each.prompt_ids) > 1:  # Else there is nothing to predict.
            tokenized["train"].append(_parted(len(train), each.prompt_ids))
            train.append(sample)
    return replace(data, tokenized=tokenized, samples=data.samples | {"train": train})


def _whole(sample: TokenizedSample) -> TokenizedSample:
    return _parted(sample.index, [*sample.prompt_ids, *sample.completion_ids])


def _parted(index: int, ids: Sequence[int]) -> TokenizedSample:
    return TokenizedSample(index, [ids[0]], list(ids[1:]))


class Healing(FineTuning):
    """Distils from a model of the same vocabulary, on all tokens of whole texts alike.

    Its loss, in training and in validation, is the forward KL at temperature 1, in nats.

    Args:
        whole: The outputs of the model that it learns from; no module, so that none of its weights enters a checkpoint.
        **common: Arguments of `FineTuning` without the objective, the data as `whole_texts` gives them.
    """

    def __init__(self, whole: Callable[[Batch], Unprojected], **common: Any) -> None:
        super().__init__(objective=Objective(forward_kl, reduction="token"), **common)
        self.whole = whole
        self.last_validation = {}

    @property
    @override
    def phase(self) -> str:
        return "heal"

    @property
    @override
    def rate_setting(self) -> str:
        return "student.heal_lr"

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        result = self._compare(batch)
        assert result.sample_divergence is not None
        self.train_loss.update(result.sample_divergence, batch.sample_weight)
        self.watch.add(batch, result.sample_divergence)
        return self.undo_averages(result.loss)

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Per-text divergences; nothing is answered."""
        result = self._compare(batch)
        assert result.sample_divergence is not None
        self.validation_loss.update(result.sample_divergence, batch.sample_weight)

    @override
    def on_validation_epoch_end(self) -> None:
        """Keeps the mean over the validation texts."""
        self.last_validation = {"validation_loss": float(self.validation_loss.compute())}
        self.validation_loss.reset()

    def _compare(self, batch: Batch) -> ObjectiveResult:
        with torch.no_grad():
            teacher = self.whole(batch)
        weight = torch.ones_like(batch.sample_weight)
        return self.part_of_loss(batch, self.lm.outputs(batch), LossPart(teacher, weight))
