"""What a run's student was evaluated on, as rows that it can be asked again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scd_lightning.analysis.records import read_predictions
from scd_lightning.data.rows import Row, make_row
from scd_lightning.run_folder.names import RESULTS
from scd_lightning.use.form import INPUT, Form


def evaluated(folder: Path, form: Form) -> tuple[list[Row], list[str | None]] | None:
    """The rows with their labels, and what the student answered.

    Args:
        folder: The run's folder, or that of its student.
        form: How the student is asked.

    Returns:
        None where the folder is no run's, or the task's rows are not saved field by field.
    """
    run = folder if (folder / RESULTS).is_file() else folder.parent
    if not (run / RESULTS).is_file() or form.fields != ("text",):
        return None
    samples, answers = read_predictions(run, "samples"), read_predictions(run, "student")
    if not samples or len(samples) != len(answers):
        return None
    rows = [make_row(_values(sample), INPUT, number, INPUT) for number, sample in enumerate(samples, 1)]
    return rows, [row["answer"] for row in answers]


def _values(sample: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"id": sample["id"], "text": sample["input"]}
    if "entities" in sample:
        names = ("label", "text", "start", "end")
        entities = [dict(zip(names, entity, strict=True)) for entity in sample["entities"]]
        return values | {"entities": [{**each, "text": None} for each in entities]}
    return values | {"label": next(iter(sample["labels"]), None)}
