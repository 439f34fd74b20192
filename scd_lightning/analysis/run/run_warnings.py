"""What a reader is warned of: in the last lines of a run, and below the verdict of its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from scd_lightning.analysis.formatting import number
from scd_lightning.analysis.records import PLAIN
from scd_lightning.analysis.run import convergence
from scd_lightning.schedules.stalls import stall_sentence, stalls

# Characters of an answer that a sentence has room for.
_LONGEST = 80


def run_warnings(results: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence each: a student below the anchor, a schedule that stalls, trainings to doubt, another one exported.

    Args:
        results: The content of results.json, or of a partial.json.
        stages: The schedule's, as schedule.json and results.json have them.
    """
    found = stalls(stages)
    stalled = [stall_sentence(found)] if found else []
    return [*_below_anchor(results), *stalled, *convergence.warnings(results), *exported_otherwise(results)]


def _below_anchor(results: Mapping[str, Any]) -> list[str]:
    by = lost_to_anchor(results)
    if by is None:
        return []
    metric, metrics = results["primary_metric"], results["metrics"]
    scores = {name: number(metrics[name][metric]) for name in ("student", "anchor")}
    return [
        f"The student ended below the anchor by {number(by)}: {metric} {scores['student']}, where fine-tuning alone "
        f"reached {scores['anchor']}."
    ]


def exported_otherwise(results: Mapping[str, Any]) -> list[str]:
    """A sentence where the exported student, asked as its card says, does not answer as the evaluated one did.

    Args:
        results: The content of results.json.
    """
    found = results.get("export_check") or {}
    if found.get("error"):
        return [
            f"The exported student could not be asked whether it answers as the evaluated one did: {found['error']}."
        ]
    if not found.get("different"):
        return []
    count = found["asked"] - found["same"] - found["rounding"]
    shown = "; ".join(
        f"{each['id']}: evaluated {_shown(each['evaluated'])!r}, exported {_shown(each['exported'])!r}"
        for each in found["different"]
    )
    return [
        f"The exported student answers otherwise than the evaluated one, asked as its card says: {count} of "
        f"{found['asked']} answers are others ({shown})."
    ]


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def lost_to_anchor(results: Mapping[str, Any]) -> float | None:
    """By how much a distilled student's primary metric is below the anchor's; None where it is not.

    Args:
        results: The content of results.json, or of a partial.json.
    """
    # Plain fine-tuning's student is the anchor.
    if results.get("method") == PLAIN:
        return None
    scores = [results["metrics"].get(name, {}).get(results["primary_metric"]) for name in ("student", "anchor")]
    if None in scores:
        return None
    student, anchor = scores
    return anchor - student if student < anchor else None
