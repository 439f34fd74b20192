"""What a model makes of a split, kept batch by batch, so that an interrupted pass goes on where it was."""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.progress import say, track
from scd_lightning.store.saved_state import RESUME
from scd_lightning.training.costs import Meter
from scd_lightning.training.finite import no_finite_number
from scd_lightning.training.predictor import Prediction, Predictor


class PredictionLog:
    """The predictions of an unfinished pass, a file for each process, in the folder of the artifact that needs them.

    Args:
        folder: That folder.
        split: The split.
        model: Digest of the weights: predictions of others are not used.

    Attributes:
        costs: What a phase had cost, as far as was read.
    """

    def __init__(self, folder: Path, split: str, model: str) -> None:
        self.root, self.prefix, self.model = folder / RESUME, f"predictions-{split}-", model
        self.costs: Mapping[str, Any] | None = None

    def read(self) -> dict[int, Prediction]:
        """All that is there, by position in the split."""
        found: dict[int, Prediction] = {}
        for path in sorted(self.root.glob(f"{self.prefix}*.jsonl")):
            for row in _read(path):
                if row.pop("model") != self.model:
                    continue
                if "costs" in row:
                    self.costs = row["costs"]
                else:
                    found[row["index"]] = Prediction(**row)
        return found

    def append(self, predictions: list[Prediction], costs: Mapping[str, Any] | None = None) -> None:
        """Adds those of a batch to this process's file, and what the phase has cost so far."""
        path = self.root / f"{self.prefix}{distributed.rank()}.jsonl"
        self.root.mkdir(exist_ok=True)
        rows = [asdict(each) for each in predictions] + ([] if costs is None else [{"costs": dict(costs)}])
        lines = [_line(json.dumps(row | {"model": self.model})) for row in rows]
        with path.open("a", encoding="ascii") as file:
            # An empty line in front: what was being written when a process was killed ends there.
            file.write("\n" + "\n".join(lines) + "\n")


def _line(content: str) -> str:
    return f"{zlib.crc32(content.encode()):08x} {content}"


def _read(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        _, _, content = line.partition(" ")
        if line == _line(content):  # Else it was cut off, or damaged: its sample is predicted again.
            yield json.loads(content)


def predict(
    job: PreparedJob,
    model: CausalLM,
    split: str,
    folder: Path,
    digest: str,
    meter: Meter,
    *,
    losses: bool = True,
    answers: bool = True,
    probabilities: bool = False,
) -> list[Prediction]:
    """A model's predictions on a split, in order, on every process.

    Args:
        job: The run.
        model: The model.
        split: "train", "validation", "test" or "unlabelled".
        folder: The artifact that is being made of them.
        digest: That of the model's weights.
        meter: Measures the phase; what it cost before an interruption is added.
        losses: Whether it scores the gold answers.
        answers: Whether it answers.
        probabilities: Whether it says how probable the candidate is that it chooses.

    Raises:
        NotFinite: The loss of a sample is no finite number.
    """
    log = PredictionLog(folder, split, digest)
    made: Mapping[int, Prediction] = distributed.from_first_rank(log.read() if distributed.rank() == 0 else {})
    if made:
        say(f"  {split} split: goes on after {len(made)} of {len(job.data.samples[split])} samples")
    if log.costs is not None:
        meter.add(log.costs)
    new: list[Prediction] = []

    def keep(predictions: list[Prediction]) -> None:
        log.append(predictions, meter.read() if distributed.rank() == 0 else None)
        new.extend(predictions)

    loader = job.data.evaluation_loader(split, distributed.rank(), distributed.world_size(), done=made)
    if len(loader):
        predictor = Predictor(model, job.data, job.tokenizer, split, losses, answers, probabilities, keep)
        # Not the loader itself: Lightning would rebuild it around a batch sampler of its own.
        job.trainer().predict(predictor, track(loader, f"{split} split", len(loader)), return_predictions=False)
    everything = dict(made) | {each.index: each for each in distributed.gather_lists(new)}
    ordered = [everything[index] for index in sorted(everything)]
    _check_finite(job, split, ordered)
    return ordered


def _check_finite(job: PreparedJob, split: str, predictions: Sequence[Prediction]) -> None:
    for each in predictions:
        if each.loss is not None and not math.isfinite(each.loss):
            raise no_finite_number(
                "loss of a sample",
                where=job.data.samples[split][each.index].place(split),
                got=each.loss,
                remedy="look at this sample, and at the weights of the model that has just answered",
                precision=str(job.trainer.options.get("precision")),
            )
