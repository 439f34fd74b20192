"""confidence.json: what validation, and then the test split, say of how sure a model is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from scd_lightning.analysis.confidence.calibration import Bin, Calibration, bins, calibrate, calibration_error
from scd_lightning.analysis.confidence.threshold import Accepted, Found, accepted, find_threshold, tried
from scd_lightning.analysis.confidence.units import Units, read_units

# In a run's folder, and in that of its student.
CONFIDENCE = "confidence.json"
# Precisions that results and reports tell of.
LEVELS = (0.8, 0.9, 0.95, 0.99)
UnitKind = Literal["answer", "entity"]
# What several are called.
UNITS: Mapping[UnitKind, str] = {"answer": "answers", "entity": "entities"}


@dataclass(frozen=True, eq=False)
class Confidence:
    """How sure a model is, and what that is worth.

    Attributes:
        unit: What it is sure of: "answer" or "entity".
        calibration: Made on one half of the rows of validation.
        tuned: The units of that half, by which thresholds are looked for.
        checked: Those of the other half, which thresholds are proven on.
        test: Those of the test split, which nothing is chosen by; None where none was evaluated.
    """

    unit: UnitKind
    calibration: Calibration
    tuned: Units
    checked: Units
    test: Units | None = None

    @property
    def units(self) -> str:
        """What several of its units are called."""
        return UNITS[self.unit]

    @property
    def shown(self) -> Units:
        """The units by which it is shown: those of the test split, or else of the half that calibrated nothing."""
        return self.checked if self.test is None else self.test

    def of(self, probability: float) -> float:
        """The confidence in an answer of which the model gives this probability."""
        return float(self.calibration.of(np.array([probability]))[0])

    def at_least(self, level: float) -> Found:
        """From which probability on answers are right as often as `level`, in 0 to 1, says."""
        return find_threshold(level, self._tried)

    @cached_property
    def _tried(self) -> list[tuple[float, Accepted]]:
        return tried(self.tuned, self.checked)

    def on_test(self, threshold: float | None) -> Accepted | None:
        """What a threshold takes of the test split; None where there is no such split, or threshold."""
        return None if self.test is None or threshold is None else accepted(self.test, threshold)

    def reliability(self, *, calibrated: bool = True) -> tuple[list[Bin], float]:
        """Bins and ECE of the units that are `shown`."""
        probability = self.shown.probability
        found = bins(self.calibration.of(probability) if calibrated else probability, self.shown.right)
        return found, calibration_error(found)

    def summary(self) -> dict[str, Any]:
        """What results.json says of it.

        Returns:
            unit; ece of the probabilities as they are, and calibrated; by level, the share of units that is taken there
            and the share of those that is right, of those that are `shown`, or None where it can't be proven.
        """
        levels = {}
        for level in LEVELS:
            threshold = self.at_least(level).threshold
            found = None if threshold is None else accepted(self.shown, threshold)
            levels[str(level)] = None if found is None else {"taken": found.share, "right": found.right}
        eces = {
            name: self.reliability(calibrated=value)[1] for name, value in (("ece", False), ("calibrated_ece", True))
        }
        return {"unit": self.unit, **eces, "at_least": levels}

    def as_json(self) -> dict[str, Any]:
        """The content of confidence.json."""
        return {
            "unit": self.unit,
            "calibration": asdict(self.calibration),
            "tuned": self.tuned.as_json(),
            "checked": self.checked.as_json(),
            "test": None if self.test is None else self.test.as_json(),
        }


def measure(unit: UnitKind, validation: Units, test: Units | None, *, chosen: bool) -> Confidence:
    """Calibrates on one half of the texts of validation, and keeps the other for thresholds.

    Args:
        unit: What the units are.
        validation: The model's answers on the validation split.
        test: On the test split.
        chosen: Whether answers are chosen among candidates.
    """
    tuned, checked = validation.halves()
    return Confidence(unit, calibrate(tuned, chosen=chosen), tuned, checked, test)


def read_confidence(saved: Mapping[str, Any]) -> Confidence:
    """What `as_json` has given.

    Raises:
        KeyError, TypeError, ValueError: It is not that.
    """
    unit, test = saved["unit"], saved["test"]
    if unit not in UNITS:
        raise ValueError(f"unknown unit {unit}")
    calibration = Calibration(float(saved["calibration"]["temperature"]), float(saved["calibration"]["shift"]))
    if not calibration.temperature > 0:
        raise ValueError("no temperature")
    tuned, checked = read_units(saved["tuned"]), read_units(saved["checked"])
    return Confidence(unit, calibration, tuned, checked, None if test is None else read_units(test))
