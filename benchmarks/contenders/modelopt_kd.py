"""NVIDIA ModelOpt's KDTrainer: KL from a live teacher's logits. Runs in an environment of its own."""

from typing import Any

import numpy as np
from datasets import Dataset
from modelopt.torch.distill.plugins.huggingface import KDTrainer
from transformers import PreTrainedModel, TrainingArguments

from benchmarks.contenders import peers
from benchmarks.contenders.arguments import parse
from benchmarks.workload import Case, label_rows


def make_trainer(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    case: Case,
    ids: np.ndarray,
    training: dict[str, Any],
    common: dict[str, Any],
) -> KDTrainer:
    """The trainer, at temperature 1: a sum over completion tokens divided by their number."""
    return KDTrainer(
        model=student,
        args=TrainingArguments(**training),
        train_dataset=Dataset.from_list(label_rows(case, ids)),
        distill_args={"teacher_model": teacher, "temperature": 1.0},
        **common,
    )


if __name__ == "__main__":
    peers.main(parse(), make_trainer)
