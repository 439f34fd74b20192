"""CSV files: one for each phase, which a run that is started again goes on with."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger as LightningCSV
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override


class CSVLogger(LightningCSV):
    """Lightning's logger, which leaves what is there: its own deletes what a run had logged before it was stopped."""

    _begun = False

    @property
    @override
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer of the file."""
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        return self._experiment

    @property
    def held(self) -> int:
        """The last step that an earlier command of the run has logged; -1 where there is none."""
        held: int = getattr(self.experiment, "held", -1)
        return held

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        if not self._begun and step is not None and step <= self.held:
            # What was logged after the last save is logged again.
            self.experiment.forget_from(step)
        self._begun = True
        super().log_metrics(metrics, step)


class _Writer(ExperimentWriter):
    """Appends rows to a file.

    Attributes:
        held: The greatest step of those that were there; -1 without any.
    """

    def __init__(self, log_dir: str) -> None:
        self.file = Path(log_dir, self.NAME_METRICS_FILE)
        earlier = self.file.read_bytes() if self.file.is_file() else b""
        super().__init__(log_dir)  # Which deletes it.
        # A line that was being written when a process was killed has no end.
        if whole := earlier[: earlier.rfind(b"\n") + 1]:
            self.file.write_bytes(whole)
            self.metrics_keys = next(csv.reader(whole.decode().splitlines()))
        self.held = max(map(_step, self._rows()), default=-1)

    def forget_from(self, step: int) -> None:
        """Takes out the rows from a step on."""
        rows = [row for row in self._rows() if _step(row) < step]
        with self.file.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)

    def _rows(self) -> list[dict[str, str]]:
        if not self.file.is_file():
            return []
        with self.file.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def _step(row: Mapping[str, str | None]) -> int:
    step = row.get("step") or ""
    return int(step) if step.isdigit() else -1
