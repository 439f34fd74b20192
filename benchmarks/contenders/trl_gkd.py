"""TRL's GKDTrainer: forward KL from a live teacher, off-policy. Runs in an environment of its own."""

from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel
from trl.experimental.gkd import GKDConfig, GKDTrainer

from benchmarks.contenders import peers
from benchmarks.contenders.arguments import parse
from benchmarks.workload import Case, tokenizer


def make_trainer(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    case: Case,
    ids: np.ndarray,
    training: dict[str, Any],
    common: dict[str, Any],
) -> GKDTrainer:
    """The trainer; lmbda 0 generates nothing, beta 0 is forward KL: a sum over completion tokens by their number."""
    config = GKDConfig(
        **training,
        lmbda=0.0,
        beta=0.0,
        seq_kd=False,
        disable_dropout=True,
        max_length=case.prompt + case.completion,
    )
    return GKDTrainer(
        student, teacher, config, train_dataset=rows(case, ids), processing_class=tokenizer(case.vocab_size), **common
    )


def rows(case: Case, ids: np.ndarray) -> Dataset:
    """Samples of token ids; "prompt" has to be there, and is not tokenized while a completion mask is given."""
    mask = [0] * case.prompt + [1] * case.completion
    return Dataset.from_list([{"input_ids": row, "completion_mask": mask, "prompt": "-"} for row in ids.tolist()])


if __name__ == "__main__":
    peers.main(parse(), make_trainer)
