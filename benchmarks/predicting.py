"""How fast an exported student answers rows, beside the evaluation of the run that it comes from."""

from typing import Any

from benchmarks.process import fresh
from benchmarks.settings import Settings

TASKS = ("ner", "classification", "qa")
# A student fine-tuned alone: by which method it has learnt changes nothing of how it is asked.
_TRAINED = ["teacher=embedded", "student=embedded", "method=sft", "teacher.epochs=1", "teacher.checkpoints=1"]
_SIZES = ["task.data.synthetic={train: 600, validation: 60, test: 2000}", "budget.stages=1", "budget.stage_epochs=4"]
_QUICK_SIZES = ["task.data.synthetic={train: 60, validation: 20, test: 40}", "budget.stages=1", "budget.stage_epochs=1"]


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a task, as `asking.rounds` has it, with its "task"."""
    sizes, count = (_QUICK_SIZES, 1) if settings.quick else (_SIZES, 3)
    return [
        {"task": task}
        | fresh(
            settings,
            "benchmarks.asking",
            {"overrides": [f"task={task}", *_TRAINED, *sizes], "rounds": count, "device": settings.device},
        )
        for task in TASKS
    ]
