"""The same rows, answered by the evaluation of a run and by its exported student."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from benchmarks.floor import timed
from benchmarks.rows import spread
from scd_lightning import Student, run
from scd_lightning.analysis.records import read_predictions
from scd_lightning.cli.built_job import rebuild_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.data.encoding import Encoder
from scd_lightning.pipeline.evaluate import judged_row, load_weights
from scd_lightning.pipeline.predict import predict
from scd_lightning.pipeline.stored_student import stored
from scd_lightning.training.costs import Meter

_CLOCKS = ("seconds", "cpu_seconds")


def finished_run(order: Mapping[str, Any], folder: Path) -> Path:
    """The folder of a run as the settings say.

    Args:
        order: "overrides" of the configuration, and the "device".
        folder: Where all of it goes.
    """
    device = "gpu" if order["device"] == "cuda" else "cpu"
    overrides = [*order["overrides"], f"trainer={device}", "logger=none", "seed=0", f"paths.store='{folder / 'store'}'"]
    return run(overrides, folder=folder / "run").folder


def rounds(run_dir: Path, count: int, folder: Path) -> dict[str, Any]:
    """Has the ways take turns, after a round that warms up.

    Args:
        run_dir: The run's folder.
        count: Rounds that count.
        folder: Where evaluations go.

    Returns:
        "seconds" and "cpu_seconds", {median, min, max} each, of "encode" (the rows' token ids, which a run makes before
        its evaluation), "evaluate" (losses, answers with probabilities, judged) and "predict" (token ids, answers with
        probabilities, as JSON rows); "samples", "rounds", and how many answers are "different".
    """
    # Without distillation, the anchor is what the run reports.
    job, made = stored(rebuild_job(run_dir), "anchor")
    model, digest = load_weights(job, "student", made)
    student = Student.load(run_dir, "cuda" if job.trainer.on_gpu else "cpu")
    rows = student.rows([dict(sample.row.values) for sample in job.data.samples["test"] if sample.row])
    answers: list[str | None] = []

    def encode() -> None:
        task = job.data.task
        encoder = Encoder(job.tokenizer, job.data.template, task.max_length, task.retarget, job.data.bad_rows)
        encoder.encode(job.data.samples["test"], "test", answer_room=job.data.max_new_tokens)

    def evaluate() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            found = predict(job, model, "test", Path(place), digest, Meter(), probabilities=True)
            [judged_row(job, "test", each, units=True) for each in found]

    def ask() -> None:
        given = [each for part in student.answer(rows) for each in part]
        [each.row() for each in given]
        answers[:] = [each.answer for each in given]

    ways: dict[str, Callable[[], None]] = {"encode": encode, "evaluate": evaluate, "predict": ask}
    for way in ways.values():
        way()
    taken = [{name: timed(way, model.device.type) for name, way in ways.items()} for _ in range(count)]
    before = [row["answer"] for row in read_predictions(run_dir, "student")]
    return {
        **{clock: {name: spread([each[name][clock] for each in taken]) for name in ways} for clock in _CLOCKS},
        "samples": len(rows),
        "rounds": count,
        "different": sum(one != other for one, other in zip(before, answers, strict=True)),
    }


def main(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Measures as `rounds` says, without a word of the pipeline's.

    Args:
        order: As of `finished_run`, and "rounds".
        folder: Where all of it goes.
    """
    quiet()
    torch.set_num_threads(1)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        return rounds(finished_run(order, folder), order["rounds"], folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]), Path(root))))
