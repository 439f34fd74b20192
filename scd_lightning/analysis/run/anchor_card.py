"""The anchor of a run as a student of its own: what its model card says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scd_lightning.analysis.records import PLAIN, RunRecord

_OF_DISTILLATION = ("answer", "distill")


def of_anchor(record: RunRecord) -> RunRecord:
    """A run as it would have been recorded with plain fine-tuning, whose student is the anchor.

    Args:
        record: The run; one of a search has neither metrics nor predictions.
    """
    results = record.results
    own = {
        "method": PLAIN,
        "schedule": [],
        "metrics": _moved(results["metrics"]),
        "samples_seen": {name: each for name, each in results.get("samples_seen", {}).items() if name == "anchor"},
        "data": {name: each for name, each in results["data"].items() if name != "unlabelled"},
    }
    if pairs := results.get("subdomains"):
        own["subdomains"] = pairs | {"student_vs_teacher": pairs["anchor_vs_teacher"]}
    return replace(
        record,
        results=results | own,
        predictions=_moved(record.predictions),
        schedule={},
        costs={phase: cost for phase, cost in record.costs.items() if phase not in _OF_DISTILLATION},
        config=record.config | {"method": {"name": PLAIN}},
    )


def _moved(values: Mapping[str, Any]) -> dict[str, Any]:
    """The anchor's in place of the student's."""
    return {**values, "student": values["anchor"]} if "anchor" in values else dict(values)
