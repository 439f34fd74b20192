"""The tables of a run's report as CSV files that are in the page."""

from collections.abc import Iterator
from typing import Any

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison.comparison_csv import data_link, to_csv
from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run.intervals import RunIntervals
from scd_lightning.analysis.run.report_figures import stages


def downloads(record: RunRecord, found: RunIntervals) -> list[tuple[str, str]]:
    """Gives (file name, link that holds the file); numbers are not rounded, and empty tables are left out."""
    tables = {
        "metrics.csv": [*_metrics(record, found)],
        "trajectory.csv": [
            {"checkpoint": entry["index"], "step": entry["step"], **entry["metrics"]} for entry in record.trajectory
        ],
        "schedule.csv": [*_schedule(record)],
        "curves.csv": [{"model": name} | point for name, curve in record.curves.items() for point in curve],
        "costs.csv": record.cost_rows(),
        "texts.csv": [*_texts(record)],
    }
    return [(name, data_link(to_csv(rows))) for name, rows in tables.items() if rows]


def _metrics(record: RunRecord, found: RunIntervals) -> Iterator[dict[str, Any]]:
    for model, values in record.results["metrics"].items():
        for metric, value in values.items():
            interval = found.models.get(model, {}).get(metric)
            yield {"of": model, "metric": metric, "value": value, **(_ends(interval) if interval else {})}
    for (ours, theirs), metrics in found.differences.items():
        for metric, lead in metrics.items():
            yield {"of": f"{ours} minus {theirs}", "metric": metric, "value": lead.value, **_ends(lead)}


def _ends(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _schedule(record: RunRecord) -> Iterator[dict[str, Any]]:
    for stage in stages(record):
        first, last = stage["epochs"]
        yield {
            "stage": stage["stage"],
            "first_epoch": first,
            "last_epoch": last,
            "checkpoint": stage["checkpoint"],
            "mean_weight": stage["mean_weight"],
            **{f"score_{index}": value for index, value in enumerate(stage["score"] or ())},
            **{f"weights_{index}": value for index, value in enumerate(stage["weights"] or ())},
        }


def _texts(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Precision against the share kept, on validation."""
    for kept, right, probability in record.results["data"].get("unlabelled", {}).get("curve", ()):
        yield {"share_kept": kept, "share_right": right, "least_probability": probability}
