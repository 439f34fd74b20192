"""How sure the student is, and what that is worth, as the report shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scd_lightning.analysis import plots
from scd_lightning.analysis.confidence.measured import LEVELS, Confidence, read_confidence
from scd_lightning.analysis.confidence.threshold import Accepted, Found, accepted
from scd_lightning.analysis.confidence.units import Units
from scd_lightning.analysis.formatting import number, share
from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run.report_figures import Drawing
from scd_lightning.errors import StoreError, words_of
from scd_lightning.tasks.measures import Floats

_POINTS = 100
_STEPS = 20


@dataclass(frozen=True)
class ConfidenceSection:
    """What the report tells of it.

    Attributes:
        units: "answers" or "entities".
        split: The split that the drawings are of.
        eces: Before calibration, and after.
        temperature: Above 1 for a student that is too sure.
        levels: For each share that is to be right, what it takes, and what the test split says of that.
        drawings: Reliability, what thresholds take, and the cascade where it can be drawn.
        ratio: What asking the student costs of what asking the teacher does, by parameters.
    """

    units: str
    split: str
    eces: tuple[float, float]
    temperature: float
    levels: Sequence[tuple[Found, Accepted | None]]
    drawings: Sequence[Drawing]
    ratio: float | None


def confidence_section(record: RunRecord) -> ConfidenceSection | None:
    """What is told; None of a run that did not measure it.

    Raises:
        StoreError: confidence.json is damaged.
    """
    if not record.confidence:
        return None
    try:
        confidence = read_confidence(record.confidence)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            "A saved file is damaged", where="confidence.json", got=words_of(error), remedy="run the evaluation again"
        ) from error
    levels = [(found := confidence.at_least(level), confidence.on_test(found.threshold)) for level in LEVELS]
    parameters = [record.results["models"][role].get("parameters") for role in ("student", "teacher")]
    drawings = [
        _reliability(confidence),
        _taken(confidence, [found.threshold for found, _ in levels]),
        _cascade(record),
    ]
    return ConfidenceSection(
        units=confidence.units,
        split="validation" if confidence.test is None else "test",
        eces=(confidence.reliability(calibrated=False)[1], confidence.reliability()[1]),
        temperature=confidence.calibration.temperature,
        levels=levels,
        drawings=[each for each in drawings if each is not None],
        ratio=parameters[0] / parameters[1] if all(parameters) else None,
    )


def _reliability(confidence: Confidence) -> Drawing | None:
    found = {
        name: confidence.reliability(calibrated=calibrated)[0]
        for name, calibrated in (("as the student says", False), ("calibrated", True))
    }
    if not all(found.values()):
        return None
    text = ", ".join(f"{share(each.confidence)} sure: {share(each.right)} right" for each in found["calibrated"])
    caption = "How often it is right, by how sure it is: on the dotted line, a confidence says what it is worth."
    return Drawing(plots.reliability_plot(found), caption, f"Calibrated, {text}.")


def _taken(confidence: Confidence, thresholds: Sequence[float | None]) -> Drawing | None:
    if not len(confidence.shown):
        return None
    taken, right = _curve(confidence.shown)
    proven = (accepted(confidence.shown, each) for each in thresholds if each is not None)
    points = [(each.share, each.right) for each in proven if each.right is not None]
    places = [0, len(taken) // 4, len(taken) // 2, len(taken) - 1]
    text = ", ".join(f"{share(taken[i])} taken: {share(right[i])} right" for i in dict.fromkeys(places))
    caption = "The surest are taken first. Rings: the thresholds that validation proves, of the shares in the table."
    return Drawing(plots.taken_plot(taken, right, points), caption, f"{text}.")


def _curve(units: Units) -> tuple[list[float], list[float]]:
    """The share taken and the share of it that is right, the surest first, at no more than a hundred points."""
    order = np.argsort(-units.probability, kind="stable")
    right = np.cumsum(units.right[order]) / np.arange(1, len(units) + 1)
    # What few say is noise.
    places = np.unique(np.linspace(min(len(units) - 1, 9), len(units) - 1, _POINTS).astype(int))
    return ((places + 1) / len(units)).tolist(), right[places].tolist()


def _cascade(record: RunRecord) -> Drawing | None:
    """The metric where the texts that the student is least sure of go to the teacher."""
    primary = record.results["primary_metric"]
    measure, rows = record.measures.get(primary), record.predictions
    if measure is None or not {"student", "teacher"} <= rows.keys() or "units" not in rows["student"][0]:
        return None
    columns = [measure.columns(rows[name], record.samples) for name in ("student", "teacher")]
    if columns[0] is None or columns[1] is None:
        return None
    asked, order = np.linspace(0, 1, _STEPS + 1), _unsure_first(rows["student"])
    values = [_mixed(measure, columns[0], columns[1], order, each) for each in asked]
    alone = values[-1]
    text = ", ".join(f"{share(asked[i])} asked: {number(values[i])}" for i in (0, 2, 4, 8, 12, 16, 20))
    caption = f"The texts that the student is least sure of go to the teacher, as with --fallback ({primary})."
    return Drawing(plots.cascade_plot(asked.tolist(), values, primary, alone), caption, f"{text}.")


def _unsure_first(rows: Sequence[dict[str, Any]]) -> Any:
    """The order of samples, the least sure first; an answer is as sure as its weakest part."""
    return np.argsort([min((unit[0] for unit in row["units"]), default=1.0) for row in rows], kind="stable")


def _mixed(measure: Any, student: Floats, teacher: Floats, order: Any, asked: float) -> float:
    chosen = order[: round(asked * len(order))]
    mixed = student.copy()
    mixed[chosen] = teacher[chosen]
    return float(measure.value(mixed.sum(0, keepdims=True))[0])
