"""One distillation, by the pipeline's own function, and the parts of its floor measured alone in the same process."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback

from benchmarks import floor, jobs, workload
from benchmarks.contenders.gate import synchronize
from benchmarks.phases import Phases
from scd_lightning.batch import Batch
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.distill import distill, draw_probe
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.training.fine_tuning import FineTuning


def run(plan: jobs.Plan) -> dict[str, Any]:
    """Distils with an empty store.

    Args:
        plan: The distillation.

    Returns:
        What distill counted (seconds, cpu_seconds, peak_memory_bytes, teacher_loads, teacher_forward_samples),
        "steps", the "checkpoints" of the stages, CPU-seconds of its "phases", and what the teacher did
        "within_epochs".
    """
    with tempfile.TemporaryDirectory(dir=plan.folder) as folder:
        out = Path(folder) / "student"
        out.mkdir()
        job = jobs.make_job(plan, Path(folder) / "store")
        phases = Phases()
        job.callbacks = [lambda: phases]
        teacher, anchor = jobs.artifacts(plan)
        found = distill(job, out, {"teacher": teacher, "anchor": anchor})
    return dict(found.costs) | {
        "steps": found.result.curve[-1]["step"],
        "checkpoints": [record["checkpoint"] for record in found.result.schedule],
        "phases": phases.seconds,
        "within_epochs": phases.within_epochs,
    }


def parts(plan: jobs.Plan) -> dict[str, dict[str, float]]:
    """Each part of a run's floor alone, medians of {"seconds", "cpu_seconds"}.

    Args:
        plan: The distillation.

    Returns:
        sft_step: an optimizer step of fine-tuning the student, as the pipeline makes it; head and vocabulary_pass: see
        `floor.parts`; teacher_samples: the teacher's forward pass over the training samples, its head on completion
        tokens alone; teacher_probe and student_probe: those over the probe set; probe_head and probe_vocabulary_pass:
        head and vocabulary_pass on the probe set's completion tokens.
    """
    with tempfile.TemporaryDirectory(dir=plan.folder) as folder:
        job = jobs.make_job(plan, Path(folder))
        everything = range(len(job.data.samples["train"]))
        probe = draw_probe(len(everything), plan.probe, job.seed)
        found = {"sft_step": _median(_sft_steps(job, plan.device))}
        passes = {
            "teacher_samples": _forward(job, job.teacher, everything),
            "teacher_probe": _forward(job, job.teacher, probe),
            "student_probe": _forward(job, job.student, probe),
        }
    case = workload.read(Path(plan.folder))[0]
    products = _products(case, plan.device)
    products |= {
        f"probe_{name}": part for name, part in _products(replace(case, batch=plan.probe), plan.device).items()
    }
    return (
        found
        | {name: _repeated(each, plan.device, 3) for name, each in passes.items()}
        | {name: _repeated(each, plan.device, 20) for name, each in products.items()}
    )


def _products(case: workload.Case, device: str) -> dict[str, Callable[[], object]]:
    return {name: part for name, part in floor.parts(case, device).items() if name != "gemm"}


def _sft_steps(job: PreparedJob, device: str) -> list[dict[str, float]]:
    data = job.data_module(job.budget.batch)
    stage_steps = job.budget.stage_epochs * data.train_sampler().steps
    module = FineTuning(
        job.build(job.student), job.student, job.data, job.tokenizer, job.objective, stage_steps=stage_steps
    )
    clock = _StepClock(device)
    trainer = job.trainer(max_epochs=4, callbacks=[clock], limit_val_batches=0)
    trainer.fit(module, datamodule=data)
    return clock.steps[2:]


class _StepClock(Callback):
    """Seconds and CPU-seconds from one step's end to the next one's: fetching counts, an epoch's end does not."""

    def __init__(self, device: str) -> None:
        self.steps: list[dict[str, float]] = []
        self._device = device
        self._last: tuple[float, float] | None = None

    def on_train_batch_end(self, *_: Any) -> None:
        """Adds the step."""
        synchronize(self._device)
        now = time.perf_counter(), time.process_time()
        if self._last is not None:
            self.steps.append({"seconds": now[0] - self._last[0], "cpu_seconds": now[1] - self._last[1]})
        self._last = now

    def on_train_epoch_end(self, *_: Any) -> None:
        """Leaves out what lies between epochs."""
        self._last = None


def _forward(job: PreparedJob, spec: ModelSpec, indices: Iterable[int]) -> Callable[[], None]:
    """A model's pass over samples of the training split, in the batches and the precision of the pipeline's own."""
    trainer = job.trainer()
    device, context = trainer.strategy.root_device, trainer.precision_plugin.forward_context
    model = job.build(spec).to(device).eval()
    loader: Iterable[Batch] = job.data.evaluation_loader("train", indices=list(indices))

    def run() -> None:
        with torch.no_grad(), context():
            for batch in loader:
                model.logits(batch.to(device))

    return run


def _repeated(part: Callable[[], object], device: str, times: int) -> dict[str, float]:
    """The median of several calls, the first of which warms up."""
    return _median([floor.timed(part, device) for _ in range(times)][1:])


def _median(taken: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in taken) for name in ("seconds", "cpu_seconds")}


def main(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs an order.

    Args:
        order: {"plans": fields of each plan, one run after the other, "parts": whether to measure a floor's parts}.

    Returns:
        Of each plan what `run` says, and `parts` under "parts".
    """
    answers = []
    for fields in order["plans"]:
        plan = jobs.Plan(**fields)
        answers.append(run(plan) | ({"parts": parts(plan)} if order["parts"] else {}))
    return answers


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]))))
