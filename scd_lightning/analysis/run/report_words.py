"""What the report of a run says in words."""

from collections.abc import Mapping
from typing import Any

from scd_lightning.analysis.formatting import count, number, share
from scd_lightning.analysis.records import PLAIN, PREDICTORS, RunRecord, evaluated_split
from scd_lightning.analysis.run.intervals import RunIntervals
from scd_lightning.analysis.run.run_warnings import run_warnings
from scd_lightning.analysis.standing import VALIDATED, standing, standing_without_interval
from scd_lightning.analysis.statistics import SAMPLE_SCORE

_IMPORTED = (
    "Whether that training has seen samples of the validation or test split is not known here; if it has, scores are "
    "too good, and so may be those of a student that learned from it."
)


def verdict_sentence(record: RunRecord, found: RunIntervals) -> str:
    """Says what student, anchor and teacher score, and how the student stands to plain fine-tuning and to its teacher.

    Args:
        record: The run.
        found: Its intervals; without those of student and teacher, the sentence has none.
    """
    split = evaluated_split(record.results)
    scores = {name: of_model[found.primary].value for name, of_model in found.models.items()}
    where = f"the {found.samples} {split} samples"
    metric = "mean sample score" if found.primary == SAMPLE_SCORE else found.primary
    if ("student", "teacher") not in found.differences:
        metric, where = record.results["primary_metric"], f"the {split} split"
        scores = {name: values[metric] for name, values in record.results["metrics"].items() if metric in values}
    if not {"student", "teacher"} <= scores.keys():
        return f"No comparison of student and teacher on {metric} was recorded."
    others = [other for other in ("anchor", "teacher") if other in scores and not _is_itself(record, other)]
    listed = ", ".join(f"{name} {number(scores[name])}" for name in ("student", *others))
    stands = "; ".join(_standing(record, found, other, scores) for other in others)
    who = "student, fine-tuned alone," if _is_itself(record, "anchor") else "student"
    return f"{metric} on {where}: {listed}. The {who} is {stands}."


def _is_itself(record: RunRecord, other: str) -> bool:
    """A student of plain fine-tuning is its own anchor."""
    return other == "anchor" and record.results.get("method") == PLAIN


def _standing(record: RunRecord, found: RunIntervals, other: str, scores: Mapping[str, float]) -> str:
    interval = found.differences.get(("student", other), {}).get(found.primary)
    name = "its teacher"
    if other == "anchor":
        name = "its anchor" if "anchor" in record.results.get("imported", {}) else "plain fine-tuning (its anchor)"
    if interval is None:
        return standing_without_interval(scores["student"] - scores[other], name)
    return standing(interval, name)


def caveats(record: RunRecord, found: RunIntervals) -> list[str]:
    """What makes the verdict weaker than it sounds."""
    data, split = record.results["data"], evaluated_split(record.results)
    notes = [VALIDATED] if split == "validation" else []
    if found.primary == SAMPLE_SCORE and found.samples:
        notes.append(
            f"{record.results['primary_metric']} can't be taken from this run's saved rows: "
            "the interval is of the mean of the samples' own scores."
        )
    if found.samples:
        notes.append(
            f"The interval says what other {split} samples would change. It is one run with one seed: "
            "what another seed would change takes several runs."
        )
    lead = found.differences.get(("student", "teacher"), {}).get(found.primary)
    if lead is not None and lead.low == lead.high:
        notes.append(
            f"Student and teacher score the same on all {split} samples: the interval has no width for want of "
            "differences, and not because the result is sure."
        )
    if lead is not None:
        notes += _untaught(found)
    notes += run_warnings(record.results, record.stages)
    if "anchor" in record.results.get("imported", {}):
        notes.append(
            "The anchor was tuned elsewhere, with a budget of its own: its difference is not one at equal budget."
        )
    if imported := record.results.get("imported"):
        notes.append(f"Brought along from elsewhere: {' and '.join(imported)}. {_IMPORTED}")
    overlap = sum(_numbers(data.get("overlap")))
    if overlap:
        notes.append(f"Splits share texts ({_listed(data['overlap'])}): scores on those are too good.")
    if sum(_numbers(data.get("rejected"))):
        left_out = _listed(data["rejected"])
        notes.append(f"Rows that can't be used were left out ({left_out}); rejected.jsonl says why.")
    if data.get("unseen_labels"):
        notes.append(f"Test labels that the training split lacks: {_listed(data['unseen_labels'])}.")
    return [*notes, *data.get("warnings", ())]


def _untaught(found: RunIntervals) -> list[str]:
    """Models that score 0, of which intervals say nothing."""
    zero = [name for name in PREDICTORS if name in found.models and found.models[name][found.primary].value == 0]
    if not zero:
        return []
    names = " and ".join(zero)
    have = "has" if len(zero) == 1 else "have"
    return [f"Score 0: {names}, which {have} not learnt the task yet. Train longer before comparing."]


def healing(results: Mapping[str, Any]) -> str:
    """What each round of a thinned student's healing reached; nothing where it was not healed.

    >>> healing({"healing": [{"layers": 4, "of": 8, "thinned": 0.5, "divergence": 0.25}]})
    '4 of 8: 0.500 -> 0.250'
    """
    return "; ".join(
        f"{each['layers']} of {each['of']}: {number(each['thinned'])} -> {number(each['divergence'])}"
        for each in results.get("healing", ())
    )


def plain(value: Any) -> str:
    """A recorded description as people read it: 'train 3, test 1'."""
    return _listed(value) if isinstance(value, dict) else str(value)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {plain(value)}" for name, value in values.items())


def _numbers(value: Any) -> list[float]:
    return [each for each in value.values() if isinstance(each, int | float)] if isinstance(value, dict) else []


def vocabulary_words(data: Mapping[str, Any]) -> str:
    """What was cut of the models' vocabulary, and what that does to texts; "" where nothing was.

    Args:
        data: The part of results.json.
    """
    if (found := data.get("vocabulary")) is None:
        return ""
    shares = ", ".join(f"{share(part)} of the {split} samples" for split, part in found["split_otherwise"].items())
    return f"{count(found['tokens'])} of {count(found['of'])} tokens; {shares} are split otherwise than by all of them"
