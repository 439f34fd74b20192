"""Trainings that several blocks have made anew, each in a store of its own: how far apart they came out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from benchmarks.evidence.found import Found
from benchmarks.evidence.kept import Kept, farthest
from benchmarks.evidence.study import TASKS
from benchmarks.evidence.tables import listed, paragraphs, table

# Role -> its phase, and what of a run's settings its training depends on. Nobody but students is told of texts.
_PHASES = {"teacher": "teacher_sft", "anchor": "student_sft"}
_SETTINGS = {
    "teacher": ("seed", "evaluate", "task", "teacher"),
    "anchor": ("seed", "evaluate", "task", "teacher", "student", "budget"),
}
_NO_PART = ("student.init=", "task.data.synthetic.unlabelled=")


@dataclass(frozen=True)
class Training:
    """What makes two trainings the same one.

    Attributes:
        role: teacher or anchor.
        task: The task.
        draw: The draw.
        settings: What of a run's overrides it depends on.
    """

    role: str
    task: str
    draw: int
    settings: frozenset[str]


def repeats(found: Found) -> dict[Training, list[Mapping[str, Any]]]:
    """Training -> what each block that has made it, and did not find it in its store, has kept of the model."""
    made: dict[Training, list[Mapping[str, Any]]] = {}
    for kept in found.every:
        for training, model in dict(_made(kept)).items():
            made.setdefault(training, []).append(model)
    return {training: models for training, models in made.items() if len(models) > 1}


def _made(kept: Kept) -> Iterator[tuple[Training, Mapping[str, Any]]]:
    for name, run in kept.runs.items():
        for role, phase in _PHASES.items():
            if role in run and run["costs"].get(phase, {}).get("reused") is False:
                settings = frozenset(
                    each
                    for each in run["overrides"]
                    if each.startswith(_SETTINGS[role]) and not each.startswith(_NO_PART)
                )
                yield Training(role, kept.content["task"], kept.content["draw"], settings), kept.model(name, role)


def repeats_section(found: Found) -> str:
    """What the page says of them."""
    seen: dict[tuple[str, str], dict[Training, list[Mapping[str, Any]]]] = {}
    metrics = {kept.content["task"]: kept.content["metric"] for kept in found.every}
    for training, models in repeats(found).items():
        seen.setdefault((training.role, training.task), {})[training] = models
    rows = []
    for (role, task), trainings in seen.items():
        pairs = [pair for models in trainings.values() for pair in combinations(models, 2)]
        metric, loss = farthest(pairs, metrics[task])
        draws = listed({each.draw for each in trainings})
        rows.append([TASKS.get(task, task), role, draws, str(len(trainings)), f"{metric:.2g}", f"{loss:.2g}"])
    head = ["task", "model", "draws", "trainings", "metrics differ by at most", "mean losses differ by at most, nats"]
    return paragraphs(
        "### Trained more than once",
        "Blocks of one draw share its teacher and its anchor. Where a block did not find them in its store, it has "
        "trained them anew, and they should come out the same: to the last digit on the same kind of processor.",
        table(head, rows, text=3) if rows else "No training has been made twice yet.",
    )
