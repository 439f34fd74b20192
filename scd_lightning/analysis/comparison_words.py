"""What a comparison says in sentences."""

from collections.abc import Iterable

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison import Comparison, Row, Setting
from scd_lightning.analysis.formatting import number, signed
from scd_lightning.analysis.sample_scores import SAMPLE_SCORE
from scd_lightning.analysis.sweep import LEAD, VALIDATION

# Settings that a heading names.
_NAMED = 4
METHODS_NOTE = (
    "Intervals are 95 % ranges of a paired bootstrap that draws seeds and test samples anew, the same samples for both "
    "models and all seeds. They are rough with two or three seeds, and not widened for how many are looked at."
)


def heading(setting: Setting) -> str:
    """Names what the methods of a table have in common, and what sets it apart from another with the same names."""
    where = setting.task if setting.data == setting.task else f"{setting.data} ({setting.task})"
    text = f"{where}: {setting.primary_metric} on the test split, {setting.teacher} -> {setting.student}"
    apart = [f"{key}={value}" for key, value in setting.apart.items()]
    more = [f"and {len(apart) - _NAMED} more settings"] if len(apart) > _NAMED else []
    return ", ".join([text, *apart[:_NAMED], *more])


def verdict(setting: Setting) -> str:
    """Says in a sentence how the student of the method that validation prefers does against its teacher."""
    if setting.best is None:
        return "No method is picked: some runs have no validation scores, and the test split is not for picking."
    row, metric = setting.rows[setting.best], setting.primary_metric
    who = row.name if len(setting.rows) == 1 else f"{row.name}, {_place(setting, row)} on the validation split,"
    student, teacher = (row.values.get(f"metrics.{model}.{metric}") for model in ("student", "teacher"))
    if student is None or teacher is None:
        return f"No comparison of student and teacher on {metric} was recorded."
    scores = f"{metric} {number(student.mean)} against {number(teacher.mean)}"
    if row.lead is None:
        return f"The student of {who} has {scores} of its teacher on the test split; no interval can be told."
    return f"The student of {who} {_outcome(row.lead)} on the test split: {scores}{_difference(setting, row)}."


def _place(setting: Setting, best: Row) -> str:
    top = best.values[VALIDATION].mean
    equal = sum(row.values[VALIDATION].mean == top for row in setting.rows)
    return f"best of {len(setting.rows)}" if equal == 1 else f"the first of {equal} that are equally good"


def _outcome(lead: Interval) -> str:
    if lead.low > 0:
        return "beats its teacher"
    return "stays behind its teacher" if lead.high < 0 else "can't be told apart from its teacher"


def _difference(setting: Setting, row: Row) -> str:
    lead = row.lead
    assert lead is not None
    over = f"{interval(lead)}, {_count(lead.seeds, 'seed')} and {lead.samples} samples"
    if setting.score == SAMPLE_SCORE:
        gap = row.values[LEAD]
        return f" ({signed(gap.mean)}), and {signed(lead.value)} in the mean {SAMPLE_SCORE} ({over})"
    return f", {signed(lead.value)} ({over})"


def interval(found: Interval) -> str:
    """Formats a range.

    >>> interval(Interval(0.02, -0.0104, 0.05, 0.95, 2, 300))
    '95 % interval -0.010 to +0.050'
    """
    return f"{100 * found.level:.0f} % interval {bounds(found)}"


def bounds(found: Interval | None) -> str:
    """Formats a range's ends alone; a dash where there is none."""
    return number(None) if found is None else f"{signed(found.low)} to {signed(found.high)}"


def caption(comparison: Comparison) -> str:
    """Says how to read the numbers."""
    if not comparison.settings:
        return "No run finished."
    text = "Lead: student minus teacher in the primary metric. Advantage and deficit: in task error."
    rows = [row for setting in comparison.settings for row in setting.rows]
    if any(value.spread is not None for row in rows for value in row.values.values()):
        text += " Mean ± sample standard deviation over seeds."
    if any(row.repeated for row in rows):
        text += " Runs marked * have one seed and the same settings, and still differ: they have no spread."
    return text


def warnings(setting: Setting) -> list[str]:
    """Says what makes the rows of a table less comparable than they look."""
    found = []
    if len({tuple(row.seeds) for row in setting.rows}) > 1:
        listed = "; ".join(f"{row.name}: {_list(row.seeds)}" for row in setting.rows)
        found.append(f"The methods do not have the same seeds ({listed}): compare them by their differences below.")
    for key, values in setting.confounded.items():
        listed = ", ".join(f"{method} {value}" for method, value in values.items())
        found.append(f"The methods differ in {key} too: {listed}.")
    if setting.runs and max(row.n for row in setting.rows) == 1:
        found.append("Each method has one run: how much another seed would change is unknown.")
    versions = {str(sorted(run.record.results.get("versions", {}).items())) for run in setting.runs}
    if len(versions) > 1:
        found.append("The runs were made with different versions of the libraries; config and results have them.")
    if setting.score == SAMPLE_SCORE and setting.differences:
        found.append(
            f"Intervals are of the mean {SAMPLE_SCORE} (1 - task error): {setting.primary_metric} can't be "
            "taken from the saved samples."
        )
    return found


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"
