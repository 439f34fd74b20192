"""What a model makes of a split, kept batch by batch, so that an interrupted pass goes on where it was."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from scd_lightning import distributed
from scd_lightning.checkpoints.resume_state import RESUME
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.predictor import Prediction, Predictor
from scd_lightning.pipeline.job import Job
from scd_lightning.progress import say, track


class PredictionLog:
    """The predictions of an unfinished pass, a file for each process, in the folder of the artifact that needs them.

    Args:
        folder: That folder.
        split: The split.
        model: Digest of the weights: predictions of others are not used.
    """

    def __init__(self, folder: Path, split: str, model: str) -> None:
        self.root, self.prefix, self.model = folder / RESUME, f"predictions-{split}-", model

    def read(self) -> dict[int, Prediction]:
        """All that is there, by position in the split."""
        found: dict[int, Prediction] = {}
        for path in sorted(self.root.glob(f"{self.prefix}*.jsonl")):
            found |= _read(path, self.model)
        return found

    def append(self, predictions: list[Prediction]) -> None:
        """Adds those of a batch to this process's file."""
        path = self.root / f"{self.prefix}{distributed.rank()}.jsonl"
        self.root.mkdir(exist_ok=True)
        lines = [_line(json.dumps(asdict(each) | {"model": self.model})) for each in predictions]
        with path.open("a", encoding="ascii") as file:
            # An empty line in front: what was being written when a process was killed ends there.
            file.write("\n" + "\n".join(lines) + "\n")


def _line(content: str) -> str:
    return f"{zlib.crc32(content.encode()):08x} {content}"


def _read(path: Path, model: str) -> dict[int, Prediction]:
    found = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        _, _, content = line.partition(" ")
        if line == _line(content):  # Else it was cut off, or damaged: its sample is predicted again.
            row = json.loads(content)
            if row.pop("model") == model:
                found[row["index"]] = Prediction(**row)
    return found


def predict(job: Job, model: CausalLM, split: str, folder: Path, digest: str, *, answers: bool) -> list[Prediction]:
    """A model's predictions on a split, in order, on every process.

    Args:
        job: The run.
        model: The model.
        split: "train", "validation" or "test".
        folder: The artifact that is being made of them.
        digest: That of the model's weights.
        answers: Whether it answers too, or only scores the gold answers.
    """
    log = PredictionLog(folder, split, digest)
    made: Mapping[int, Prediction] = distributed.from_first_rank(log.read() if distributed.rank() == 0 else {})
    if made:
        say(f"  {split} split: goes on after {len(made)} of {len(job.data.samples[split])} samples")
    new: list[Prediction] = []

    def keep(predictions: list[Prediction]) -> None:
        log.append(predictions)
        new.extend(predictions)

    loader = job.data.evaluation_loader(split, distributed.rank(), distributed.world_size(), done=made)
    if len(loader):
        predictor = Predictor(model, job.data, job.tokenizer, split, answers, keep)
        # Not the loader itself: Lightning would rebuild it around a batch sampler of its own.
        job.trainer().predict(predictor, track(loader, f"{split} split", len(loader)), return_predictions=False)
    everything = dict(made) | {each.index: each for each in distributed.gather_lists(new)}
    return [everything[index] for index in sorted(everything)]
