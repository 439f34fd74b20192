"""The verdict of a comparison: how each method stands to plain fine-tuning and to its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

from scd_lightning.analysis.comparison.compare import Comparison, Setting
from scd_lightning.analysis.comparison.comparison_rows import Margin, Row, preferred
from scd_lightning.analysis.comparison.comparison_words import heading
from scd_lightning.analysis.comparison.sweep_runs import VALIDATION
from scd_lightning.analysis.records import PLAIN
from scd_lightning.analysis.standing import standing, standing_without_interval
from scd_lightning.analysis.statistics import SAMPLE_SCORE


@dataclass(frozen=True)
class Sentence:
    """A sentence on one method.

    Attributes:
        parts: Its text in parts, each with a side: 1 where it says "above", -1 where it says "below", else 0.
    """

    parts: list[tuple[str, int]]

    @property
    def text(self) -> str:
        """The whole sentence."""
        return "".join(text for text, _ in self.parts)


def verdict(setting: Setting) -> list[Sentence]:
    """Says of each method how its student stands to plain fine-tuning, and to its teacher.

    Of a method with several settings, it is the one that validation prefers, where validation tells.
    """
    return [_sentence(setting, row) for row in _spoken(setting.rows)]


def introduction(setting: Setting) -> str:
    """Says what the sentences of a verdict are about: "f1 on the test split, 3 draws:"."""
    score = f"Mean {SAMPLE_SCORE}" if setting.score == SAMPLE_SCORE else setting.score
    sizes = sorted({row.n for row in setting.rows})
    if sizes == [1]:
        count = f"one {setting.unit}, so other {setting.unit}s are unknown"
    else:
        count = f"{' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} {setting.unit}s"
    return f"{score} on the {setting.split} split, {count}:"


def conclusions(comparison: Comparison) -> list[tuple[str, list[Sentence]]]:
    """Gives the verdict of each table with its introduction, which names the table where there are several."""
    several = len(comparison.settings) > 1
    return [
        (f"{heading(each)}. {introduction(each)}" if several else introduction(each), verdict(each))
        for each in comparison.settings
    ]


def missing(comparison: Comparison) -> str:
    """Says how many runs a verdict lacks; "" where it has them all."""
    count = len(comparison.failures)
    return f"Without {count} run{'s' if count > 1 else ''} that did not finish, named above." if count else ""


def _spoken(rows: Sequence[Row]) -> list[Row]:
    """One row of each method, by validation; all of a method where it lacks validation scores."""
    methods: dict[str, list[Row]] = {}
    for row in rows:
        methods.setdefault(row.method, []).append(row)
    spoken = []
    for same in methods.values():
        best = preferred(same)
        spoken += same if best is None else [best]
    return spoken


def _sentence(setting: Setting, row: Row) -> Sentence:
    who = row.short_name + _pick(setting, row)
    to_teacher = _standing(row.lead, "its teacher", setting.unit)
    if row.method == PLAIN:
        return Sentence([(f"{who}, plain fine-tuning, is ", 0), to_teacher, (".", 0)])
    to_fine_tuning = _standing(row.gain, _fine_tuning(setting, row), setting.unit)
    return Sentence([(f"{who} is ", 0), to_fine_tuning, ("; ", 0), to_teacher, (".", 0)])


def _pick(setting: Setting, row: Row) -> str:
    """How validation has picked a row: among all rows, or else among the settings of its method."""
    if setting.best is not None and len(setting.rows) > 1:
        scores = [each.values[VALIDATION].mean for each in setting.rows]
        if row.values[VALIDATION].mean == max(scores):
            equal = scores.count(max(scores))
            return " (best on validation)" if equal == 1 else f" (one of {equal} equally good on validation)"
    same = [each for each in setting.rows if each.method == row.method]
    chosen = len(same) > 1 and preferred(same) is not None
    return f" (of {len(same)} settings the best on validation)" if chosen else ""


def _fine_tuning(setting: Setting, row: Row) -> str:
    """What to call the plain fine-tuning that a row is compared with: by name where it is not just `PLAIN`."""
    if row.gain is None or row.gain.other == PLAIN:
        return "plain fine-tuning"
    short = {each.name: each.short_name for each in setting.rows}
    return f"plain fine-tuning ({short.get(row.gain.other, 'its anchor')})"


def _standing(margin: Margin | None, other: str, unit: str) -> tuple[str, int]:
    if margin is None:
        return f"not compared with {other}: scores are missing", 0
    if margin.interval is None:
        return f"{standing_without_interval(margin.value.mean, other)}, without an interval", 0
    return standing(margin.interval, other, unit), margin.side
