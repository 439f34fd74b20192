"""A table of a comparison in Markdown, for documentation."""

from scd_lightning.analysis.comparison.compare import Setting
from scd_lightning.analysis.comparison.comparison_rows import Row, shown_margin
from scd_lightning.analysis.comparison.comparison_verdict import introduction, verdict
from scd_lightning.analysis.comparison.comparison_words import shared_line
from scd_lightning.analysis.comparison.sweep_runs import metric_path
from scd_lightning.analysis.formatting import number
from scd_lightning.tasks.markdown_text import inline


def markdown_table(setting: Setting) -> str:
    """Gives a table of methods, what they share, and the verdict, as Markdown without a heading.

    Args:
        setting: A table of a comparison. Every seed has a column; where one ran twice, its cell has both values.

    Returns:
        Text that ends with a line break.
    """
    seeds = sorted({seed for row in setting.rows for seed in row.seeds})
    title = f"{setting.primary_metric}, {setting.split}"
    head = ["method", title, *(f"{setting.unit} {seed}" for seed in seeds), "against fine-tuning", "against teacher"]
    lines = [_line(head), f"| --- |{' ---: |' * (len(head) - 1)}"]
    lines += [_line(_cells(setting, row, seeds)) for row in setting.rows]
    shared = [shared_line(setting), ""] if setting.shared else []
    sentences = [f"- {inline(sentence.text)}" for sentence in verdict(setting)]
    return "\n".join([*lines, "", *shared, introduction(setting), "", *sentences, ""])


def _cells(setting: Setting, row: Row, seeds: list[int]) -> list[str]:
    name = metric_path("student", setting.primary_metric)
    by_seed = [[number(run.values.get(name)) for run in row.runs if run.seed == seed] for seed in seeds]
    return [
        row.short_name,
        row.shown(name),
        *(", ".join(values) for values in by_seed),
        shown_margin(row.gain, "{} ({})"),
        shown_margin(row.lead, "{} ({})"),
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(inline, cells))} |"
