"""A tuned model's losses and answers where samples have candidates: our search beside scoring each candidate."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from benchmarks.contenders.exhaustive import all_scores
from benchmarks.floor import timed
from benchmarks.rows import spread
from benchmarks.settings import ROOT
from scd_lightning.batch import Batch
from scd_lightning.cli.built_job import build_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.config.build import read_settings
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.pipeline.evaluate import tuned_weights
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.training.predictor import Prediction, Predictor

_CLOCKS = ("seconds", "cpu_seconds")
# Another candidate may be taken where the best two are no further apart, in nats.
_TIE = 1e-4


@dataclass
class Contest:
    """A tuned model and the batches that it answers.

    Attributes:
        job: The job.
        model: The model, where it computes.
        batches: The batches.
        tokens: Places that went through the model since they were last set to 0.
        found: What our own way has found, by position in the split.
    """

    job: PreparedJob
    model: CausalLM
    batches: Sequence[Batch]
    tokens: int = 0
    found: dict[int, Prediction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _: object, __: object, inputs: Mapping[str, Any]) -> None:
        self.tokens += inputs["input_ids"].numel()

    def search(self, probabilities: bool = False) -> None:
        """The package's own way, as an evaluation has it."""

        def keep(predictions: Sequence[Prediction]) -> None:
            self.found |= {each.index: each for each in predictions}

        predictor = Predictor(
            self.model, self.job.data, self.job.tokenizer, "test", True, True, probabilities=probabilities, keep=keep
        )
        for i, batch in enumerate(self.batches):
            predictor.predict_step(batch, i)

    @torch.no_grad()
    def exhaustive(self) -> tuple[dict[int, float], dict[int, list[float]]]:
        """Losses in a pass of their own, and all scores, by position in the split."""
        losses: dict[int, float] = {}
        scores: dict[int, list[float]] = {}
        for batch in self.batches:
            token_losses = chunked_cross_entropy(self.model.outputs(batch), batch.targets)
            losses |= zip(batch.indices, per_sample_mean(token_losses, batch.rows, batch.size).tolist(), strict=True)
            samples = [self.job.data.tokenized["test"][index] for index in batch.indices]
            scores |= zip(batch.indices, all_scores(self.model, samples, self.job.data.pad_id), strict=True)
        return losses, scores


def rounds(contest: Contest, count: int) -> dict[str, Any]:
    """Has the ways take turns, after a round that warms up.

    Args:
        contest: The model and its batches.
        count: Rounds that count.

    Returns:
        "tokens", places fed to the model, and "seconds" and "cpu_seconds", {median, min, max} each, of "search",
        "probabilities" (the search with those of all candidates) and "exhaustive"; "samples", "candidates" of the
        first, "parameters", "rounds"; "right", the share answered as gold has it; how many answers are "different"
        though the best two candidates are apart; how far "losses_apart" are at most.
    """
    tokens: dict[str, int] = {}
    taken: list[dict[str, dict[str, float]]] = []
    ways: dict[str, Callable[[], object]] = {
        "exhaustive": contest.exhaustive,
        "probabilities": lambda: contest.search(probabilities=True),
        "search": contest.search,
    }
    device = contest.model.device.type
    with contest.job.trainer().precision_plugin.forward_context():
        losses, scores = contest.exhaustive()
        contest.search()
        for _ in range(count):
            times = {}
            for name, way in ways.items():
                contest.tokens = 0
                times[name] = timed(way, device)
                tokens[name] = contest.tokens
            taken.append(times)
    spreads = {clock: {name: spread([each[name][clock] for each in taken]) for name in ways} for clock in _CLOCKS}
    samples = contest.job.data.tokenized["test"]
    return {
        **spreads,
        "tokens": tokens,
        "samples": len(losses),
        "candidates": len(samples[0].candidate_ids or []),
        "parameters": sum(weight.numel() for weight in contest.model.parameters()),
        "rounds": count,
        "right": sum(_right(contest, index) for index in losses) / len(losses),
        "different": sum(_differs(contest.found[index].answer, of) for index, of in scores.items()),
        "losses_apart": max(abs(loss - (contest.found[index].loss or 0.0)) for index, loss in losses.items()),
    }


def _right(contest: Contest, index: int) -> bool:
    answer = contest.found[index].answer
    assert answer is not None
    return contest.job.data.judge("test", index, answer).score == 1


def _differs(answer: str | int | None, scores: Sequence[float]) -> bool:
    assert isinstance(answer, int)
    best = max(scores)
    return scores[answer] < best - _TIE


def contest(order: Mapping[str, Any], folder: Path) -> Contest:
    """Trains a model as the settings say.

    Args:
        order: "overrides" of the configuration, "model" (teacher or anchor), the number of "samples" of the test split
            that are answered, and the "device".
        folder: Where all of it goes.
    """
    overrides = [*order["overrides"], f"trainer={'gpu' if order['device'] == 'cuda' else 'cpu'}", "logger=none"]
    overrides += [f"paths.store='{order.get('store', folder)}'", f"paths.run='{folder}'", "seed=0"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        job = prepare(build_job(read_settings(compose("config", overrides)), folder))
    weights = tuned_weights(job, order["model"], execute(job, [s for s in plan(job) if s.name == order["model"]]))
    model = job.build(weights.spec)
    assert weights.store is not None
    CheckpointStore(weights.store).load_into(model, weights.index)
    device = job.trainer().strategy.root_device
    count = min(order["samples"], len(job.data.tokenized["test"]))
    batches = [batch.to(device) for batch in job.data.evaluation_loader("test", indices=range(count))]
    return Contest(job, model.to(device).eval(), batches)


def main(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Measures as `rounds` says, without a word of the pipeline's.

    Args:
        order: As of `contest`, and "rounds".
        folder: Where all of it goes.
    """
    quiet()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        return rounds(contest(order, folder), order["rounds"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]), Path(root))))
