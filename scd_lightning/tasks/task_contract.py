"""What a task of the user's own must offer: asked of its first sample, before anything is trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scd_lightning.config.extensions import refused, tried
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.samples import Sample
from scd_lightning.errors import ConfigError
from scd_lightning.tasks.measures import Measure

if TYPE_CHECKING:
    from scd_lightning.tasks.task import Task


def check_offer(task: "Task") -> None:
    """Refuses a task without a prompt or without measures.

    Raises:
        ConfigError: It lacks them, or has something else in their place.
    """
    if not isinstance(task.prompt, Prompt):
        raise _refused(
            "The task has no prompt", task, type(task.prompt).__name__, "a scd_lightning.data.prompts.Prompt"
        )
    with tried(task, "task"):
        measures: object = task.measures(task.settings())
    expected = "names with a scd_lightning.tasks.measures.Measure each, one besides malformed at least"
    if not isinstance(measures, Mapping) or not set(measures) - {"malformed"}:
        raise _refused("The task has no measures", task, repr(measures), expected)
    for name, measure in measures.items():
        width = getattr(measure, "width", None)
        if not isinstance(measure, Measure) or type(width) is not int or width < 1:
            got = f"{name}: a {type(measure).__name__}, width {width!r}"
            raise _refused("A measure of the task is none", task, got, f"{expected}, whose width is an int from 1")


def check_sample(task: "Task", sample: object) -> Sample:
    """The sample, if it is one that a prompt can be made of.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(sample, Sample):
        raise _refused("The task makes no samples", task, type(sample).__name__, "a scd_lightning.data.samples.Sample")
    wanted = task.prompt.required | set(sample.cuttable)
    lacking = sorted(wanted - {name for name, text in sample.fields.items() if isinstance(text, str)})
    if lacking:
        got = f"{', '.join(sample.fields)}; without a text for {', '.join(lacking)}"
        raise _refused("A sample lacks what its prompt is filled with", task, got, ", ".join(sorted(wanted)))
    if not isinstance(sample.completion, str) or task.chooses != bool(sample.candidates):
        got = f"completion {sample.completion!r}, candidates {sample.candidates!r}"
        form = "candidates, as the task chooses" if task.chooses else "candidates None, as the task generates"
        raise _refused("A sample has another kind of answer than its task", task, got, f"a text, and {form}")
    return sample


def check_scoring(task: "Task", sample: Sample) -> None:
    """Has a task judge an answer, and its measures count it: what a run does when all is trained.

    Raises:
        ConfigError: Something of it fails, or is of another form than it must be.
    """
    with tried(task, "task"):
        judgement: object = task.judge(sample, 0 if task.chooses else sample.completion)
        described: Mapping[str, Any] = task.describe(sample)
    if not isinstance(judgement, Judgement):
        raise _refused("The task judges no answers", task, repr(judgement), "a scd_lightning.data.judgement.Judgement")
    if not 0 <= judgement.score <= 1:
        raise _refused("The task's scores are out of range", task, judgement.score, "0 to 1")
    row = judgement.row(1.0)
    for name, measure in task.measures(task.settings()).items():
        _check_measure(name, measure, row, described)


def _check_measure(name: str, measure: Measure, row: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    with tried(measure, f"the measure {name}"):
        columns = measure.columns([row], [described])
        values: Any = None if columns is None else measure.value(np.concatenate([columns, columns]))
    if columns is None:
        raise refused(
            "A measure asks for what no answer and no sample has",
            measure,
            where=f"the measure {name}",
            got=f"of_row {measure.of_row}, of_sample {measure.of_sample}",
            expected=f"some of {', '.join(row)} of an answer, and of {', '.join(described)} of a sample",
        )
    if np.shape(values) != (2,):
        raise refused(
            "A measure gives no value for each row of its sums",
            measure,
            where=f"the measure {name}",
            got=f"shape {np.shape(values)}",
            expected="[R] of sums [R, D], here of shape (2,)",
        )


def _refused(what: str, task: "Task", got: object, expected: str) -> ConfigError:
    return refused(what, task, where="task", got=got, expected=expected)
