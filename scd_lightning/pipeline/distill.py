"""Phase 3: distil the student in stages, each from the checkpoint that the policy picks."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.pipeline.heal import HEALED
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.keys import signals_identity
from scd_lightning.pipeline.signal_space import check_signal_space
from scd_lightning.pipeline.student_training import TRAIN_LOSSES, starting_weights, train_student
from scd_lightning.pipeline.teacher_sft import TRAJECTORY, VALIDATION_LOSSES
from scd_lightning.pipeline.texts import with_texts
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import sha256_json
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signals import SampleSet, SignalStore
from scd_lightning.teachers.source import TeacherCounts, TeacherSource
from scd_lightning.training.callbacks.stage_log import StageLog
from scd_lightning.training.callbacks.teacher_scheduler import StageChoice, TeacherScheduler
from scd_lightning.training.costs import Meter
from scd_lightning.training.distillation import Distillation, TextLoss


def distill(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Distils the student and keeps its best weights.

    Args:
        job: The run, with a method that distils.
        folder: Where they go.
        made: The teacher; the anchor where the adaptive weight needs its losses or its weights are the start, or the
            healed student whose weights are.

    Returns:
        A `StudentResult` with its schedule, and the costs.
    """
    assert job.method.policy is not None
    assert job.method.weighting is not None
    meter, trajectory, anchor = Meter(), made["teacher"], made.get("anchor")
    store = CheckpointStore(trajectory.folder / TRAJECTORY)
    store.verify()
    counts, labelled = TeacherCounts(), len(job.data.samples["train"])
    probe = draw_probe(labelled, job.budget.probe_samples, job.seed)
    whole = with_texts(job, made)
    everything = range(len(whole.data.samples["train"]))
    sets = [sample_set(whole, "training signals", everything), sample_set(job, "probe signals", probe)]
    # Where the best checkpoint answers for texts, whatever the stage's, it has a source of its own.
    apart = "answers" in made and job.unlabelled.source == "best"
    sources = _sources(job, store, trajectory.result.best, counts, [*sets, sets[0]] if apart else sets)
    scheduler = TeacherScheduler(
        job.method.policy,
        sources[0],
        trajectory.result.best,
        whole.budget.stage_epochs,
        sources[1],
        lambda: list(_loader(job, probe)),
    )
    anchor_loss = None
    if job.method.needs_anchor:
        assert anchor is not None
        anchor_loss = torch.from_numpy(np.load(anchor.folder / TRAIN_LOSSES))
        # Of texts without labels there are none, and none are looked at.
        anchor_loss = torch.cat([anchor_loss, anchor_loss.new_ones(len(everything) - labelled)])
    best_loss = torch.from_numpy(np.load(trajectory.folder / VALIDATION_LOSSES)[trajectory.result.best])
    texts = None
    if "answers" in made:
        texts = TextLoss(labelled, job.unlabelled.weight, trajectory.result.best, sources[2] if apart else None)
    make = partial(Distillation, sources[0], job.method.weighting, anchor_loss, best_loss, texts)
    start = starting_weights(made, "anchor" if job.student.init == "anchor" else HEALED)
    callbacks, lr_scale = [scheduler, StageLog(scheduler)], job.method.lr_scale
    module, result, volume = train_student(whole, folder, "distill", meter, make, callbacks, start, lr_scale)
    assert isinstance(module, Distillation)
    # A callback may end the training once a stage's checkpoint is chosen, and before it teaches.
    taught = [choice for choice in scheduler.choices if choice.epochs[0] < len(module.curve)]
    schedule = [_record(choice, module) for choice in taught]
    costs = meter.read() | volume
    forwarded = counts.forwarded_by_all()
    costs |= {"teacher_loads": counts.loads, "teacher_load_bytes": counts.loaded_bytes}
    costs |= {"teacher_load_seconds": round(counts.load_seconds, 3), "teacher_forward_samples": forwarded}
    return Outcome(replace(result, schedule=schedule), costs)


def draw_probe(samples: int, size: int, seed: int) -> list[int]:
    """Positions of the probe set in the training split: drawn by the seed, all where there are fewer."""
    if samples <= size:
        return list(range(samples))
    return sorted(random.Random(f"probe {seed}").sample(range(samples), size))


def _sources(
    job: PreparedJob, store: CheckpointStore, best: int, counts: TeacherCounts, sets: Sequence[SampleSet]
) -> list[TeacherSource]:
    """A source for each sample set; all add to the same counts.

    The first two, for the training samples and for the probe set, are never needed at once: live, they are one.
    """
    trainer = job.trainer()
    device, precision = trainer.strategy.root_device, trainer.precision_plugin

    def live() -> LiveSource:
        return LiveSource(job.build(job.teacher).to(device), store, precision.forward_context)

    sources: list[TeacherSource]
    if job.method.teacher == "live":
        sources = [*[live()] * 2, *(live() for _ in sets[2:])]
    else:
        signals = signal_store(job, str(precision.precision))
        check_signal_space(job, store, best, signals, *sets[:2], best_beside=len(sets) > 2)
        shared = _shared(live)
        sources = [CachedSource(store, signals, each, shared, device, precision.forward_context) for each in sets]
    for each in sources:
        each.counts = counts
    return sources


def _shared(make: Callable[[], LiveSource]) -> Callable[[], LiveSource]:
    """One teacher for as long as someone holds it: two sources at work in one stage need no two in memory."""
    held: WeakValueDictionary[str, LiveSource] = WeakValueDictionary()

    def get() -> LiveSource:
        source = held.get("teacher") or make()
        held["teacher"] = source
        return source

    return get


def signal_store(job: PreparedJob, precision: str) -> SignalStore:
    """Where a job's signals are, in the store that it shares with other runs.

    Args:
        job: The run.
        precision: Name of the arithmetic that its trainer runs in.
    """
    return SignalStore(job.store.root / "signals", precision, signals_identity(job), job.method.signals_dtype)


def sample_set(job: PreparedJob, name: str, indices: Sequence[int]) -> SampleSet:
    """Training samples as the signals see them.

    Args:
        job: The run.
        name: What messages call their signals.
        indices: Their positions in the training split.
    """
    lengths = [len(job.data.tokenized["train"][i].completion_ids) for i in indices]
    train = job.data.digests["train"]
    digest = sha256_json({"data": train, "tokenizer": job.tokenizer_digest, "indices": list(indices)})
    batches = -(-len(indices) // (job.task.evaluation_batch * distributed.world_size()))
    return SampleSet(name, indices, lengths, digest, partial(_loader, job, indices), batches)


def _loader(job: PreparedJob, indices: Sequence[int]) -> Iterable[Batch]:
    return job.data.evaluation_loader("train", distributed.rank(), distributed.world_size(), indices)


def _record(choice: StageChoice, module: Distillation) -> dict[str, Any]:
    first, last = choice.epochs
    last = min(last, len(module.curve) - 1)  # A callback may have ended the training early.
    means = [module.curve[epoch]["mean_weight"] for epoch in range(first, last + 1)]
    spread = {"mean_weight": sum(means) / len(means), "weights": module.weight_counts[last]}
    return asdict(choice) | {"epochs": [first, last]} | spread
