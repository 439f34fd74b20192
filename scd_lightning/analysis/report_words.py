"""What the report of a run says in words."""

from typing import Any

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.convergence import warnings
from scd_lightning.analysis.formatting import number, signed
from scd_lightning.analysis.intervals import RunIntervals
from scd_lightning.analysis.records import PREDICTORS, RunRecord, verdict
from scd_lightning.analysis.sample_scores import SAMPLE_SCORE

_IMPORTED = (
    "Whether that training has seen samples of the validation or test split is not known here; if it has, scores are "
    "too good, and so may be those of a student that learned from it."
)


def verdict_sentence(record: RunRecord, found: RunIntervals) -> str:
    """Says in one sentence whether the student beat its teacher, how sure that is, and what the anchor has.

    Args:
        record: The run.
        found: Its intervals; without those of student and teacher, the sentence has none.
    """
    lead = found.differences.get(("student", "teacher"), {}).get(found.primary)
    if lead is None:
        return verdict(record.results)
    teacher, student = (found.models[name][found.primary] for name in ("teacher", "student"))
    text = (
        f"The student {_outcome(lead)} on the {found.samples} test samples: {_name(found.primary)} "
        f"{number(student.value)} against {number(teacher.value)}, {_with_interval(lead)}"
    )
    anchor = found.differences.get(("student", "anchor"), {}).get(found.primary)
    if anchor is not None and record.results.get("method") != "sft":
        text += f"; against its anchor, the same model fine-tuned alone: {_with_interval(anchor)}"
    return text + "."


def _outcome(lead: Interval) -> str:
    if lead.low > 0:
        return "beats its teacher"
    return "stays behind its teacher" if lead.high < 0 else "can't be told apart from its teacher"


def _with_interval(found: Interval) -> str:
    if found.value == found.low == found.high == 0:
        return "no difference, whichever samples are drawn"
    level = f"{100 * found.level:.0f} %"
    return f"{signed(found.value)} ({level} interval {bounds(found)})"


def bounds(found: Interval) -> str:
    """The ends of a difference's range."""
    return f"{signed(found.low)} to {signed(found.high)}"


def _name(metric: str) -> str:
    return "mean sample score" if metric == SAMPLE_SCORE else metric


def caveats(record: RunRecord, found: RunIntervals) -> list[str]:
    """What makes the verdict weaker than it sounds."""
    notes = []
    data = record.results["data"]
    if found.primary == SAMPLE_SCORE and found.samples:
        notes.append(
            f"{record.results['primary_metric']} can't be taken from this run's saved rows: "
            "the interval is of the mean of the samples' own scores."
        )
    if found.samples:
        notes.append(
            "The interval says what other test samples would change. It is one run with one seed: "
            "what another seed would change takes several runs."
        )
    lead = found.differences.get(("student", "teacher"), {}).get(found.primary)
    if lead is not None and lead.low == lead.high:
        notes.append(
            "Student and teacher score the same on all test samples: the interval has no width for want of "
            "differences, and not because the result is sure."
        )
    if lead is not None:
        notes += _untaught(found)
    notes += warnings(record.results)
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
    return notes


def _untaught(found: RunIntervals) -> list[str]:
    """Models that score 0, of which intervals say nothing."""
    zero = [name for name in PREDICTORS if name in found.models and found.models[name][found.primary].value == 0]
    if not zero:
        return []
    names = " and ".join(zero)
    have = "has" if len(zero) == 1 else "have"
    return [f"Score 0: {names}, which {have} not learnt the task yet. Train longer before comparing."]


def plain(value: Any) -> str:
    """A recorded description as people read it: 'train 3, test 1'."""
    return _listed(value) if isinstance(value, dict) else str(value)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {plain(value)}" for name, value in values.items())


def _numbers(value: Any) -> list[float]:
    return [each for each in value.values() if isinstance(each, int | float)] if isinstance(value, dict) else []
