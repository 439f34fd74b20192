"""What a comparison says in sentences, besides its verdict."""

from scd_lightning.analysis.comparison.compare import Comparison, Setting
from scd_lightning.analysis.comparison.comparison_rows import Estimate
from scd_lightning.analysis.comparison.sweep_runs import metric_path
from scd_lightning.analysis.formatting import number
from scd_lightning.analysis.standing import VALIDATED
from scd_lightning.analysis.statistics import SAMPLE_SCORE

# Settings that a heading names.
_NAMED = 4


def heading(setting: Setting) -> str:
    """Names what the methods of a table have in common, and what sets it apart from another with the same names."""
    where = setting.task if setting.data == setting.task else f"{setting.data} ({setting.task})"
    text = f"{where}: {setting.primary_metric} on the {setting.split} split, {setting.teacher} -> {setting.student}"
    apart = [f"{key}={value}" for key, value in setting.apart.items()]
    more = [f"and {len(apart) - _NAMED} more settings"] if len(apart) > _NAMED else []
    return ", ".join([text, *apart[:_NAMED], *more])


def shared_line(setting: Setting) -> str:
    """Says what all rows have alike, with every seed: "Shared by all methods: teacher 0.784 ±0.010 (...)"; else ""."""
    if not setting.shared:
        return ""
    parts = [f"{model} {value}{_each(setting, model, value)}" for model, value in setting.shared.items()]
    return f"Shared by all methods: {', '.join(parts)}."


def _each(setting: Setting, model: str, value: Estimate) -> str:
    if value.n == 1:
        return ""
    name = metric_path(model, setting.primary_metric)
    runs = [run for run in setting.rows[0].runs if name in run.values]
    return f" ({setting.unit}s {', '.join(f'{run.seed}: {number(run.values[name])}' for run in runs)})"


def methods_note(setting: Setting) -> str:
    """Says how intervals are made."""
    unit, split = setting.unit, setting.split
    several, single = (any((row.n > 1) == many for row in setting.rows) for many in (True, False))
    parts = []
    if several:
        over = f"95 % intervals are Student's t over {unit}s (with three, 4.3 standard errors to either side)"
        own = f"; each draw has {split} samples of its own."
        common = f", widened by what other {split} samples would change for all {unit}s alike."
        parts.append(over + (own if unit == "draw" else common))
    if single:
        parts.append(
            f"The 95 % interval of one run is a paired bootstrap over its {split} samples: what another {unit} would "
            "change is not in it."
        )
    return " ".join([*parts, "None is widened for how many are looked at."])


def caption(comparison: Comparison) -> str:
    """Says how to read the numbers."""
    if not comparison.settings:
        return "No run finished."
    text = (
        "Against fine-tuning, against teacher: the student's score minus theirs. "
        "Advantage and deficit: against the teacher, in task error."
    )
    rows = [row for setting in comparison.settings for row in setting.rows]
    units = {setting.unit for setting in comparison.settings}
    if any(value.spread is not None for row in rows for value in row.values.values()):
        text += f" Mean ± sample standard deviation over {' or '.join(f'{unit}s' for unit in sorted(units))}."
    if "draw" in units:
        text += " A draw is a seed: of the data, the weights and their training."
    if any(row.repeated for row in rows):
        text += " Runs marked * have one seed and the same settings, and still differ: they have no spread."
    return text


def warnings(setting: Setting) -> list[str]:
    """Says what makes the rows of a table less comparable than they look."""
    found = [VALIDATED] if setting.split == "validation" else []
    unit, rows = setting.unit, setting.rows
    if len({tuple(row.seeds) for row in rows}) > 1:
        listed = "; ".join(f"{row.name}: {', '.join(map(str, row.seeds))}" for row in rows)
        found.append(f"The methods do not have the same {unit}s ({listed}): compare them by their differences below.")
    for key, values in setting.confounded.items():
        listed = ", ".join(f"{method} {value}" for method, value in values.items())
        found.append(f"The methods differ in {key} too: {listed}.")
    if max(row.n for row in rows) == 1:
        found.append(f"Each method has one run: how much another {unit} would change is unknown.")
    if len(rows) > 1 and setting.best is None:
        found.append(f"No method is picked: some runs have no validation scores, and {setting.split} is not for that.")
    return found + _recorded(setting)


def _recorded(setting: Setting) -> list[str]:
    """What the runs have recorded that makes them less comparable."""
    found = []
    results = [run.record.results for run in setting.runs]
    if len({str(sorted(each.get("versions", {}).items())) for each in results}) > 1:
        found.append("The runs were made with different versions of the libraries; config and results have them.")
    if any("anchor" in each.get("imported", {}) for each in results):
        found.append("The anchor was tuned elsewhere: its budget need not be that of the other students.")
    if setting.score == SAMPLE_SCORE and any(row.lead and row.lead.interval for row in setting.rows):
        found.append(
            f"Differences and intervals are of the mean {SAMPLE_SCORE} (1 - task error): {setting.primary_metric} "
            "can't be taken from the saved samples."
        )
    return found
