"""The page's sections on where distillation pays, and on real data."""

import numpy as np

from benchmarks.evidence import real, where_part
from benchmarks.evidence.contrasts import contrast
from benchmarks.evidence.found import Found
from benchmarks.evidence.kept import Kept
from benchmarks.evidence.tables import listed, paragraphs, table
from benchmarks.evidence.tuning import SFT, WITH_TEXTS
from benchmarks.evidence.where_part import named
from scd_lightning.analysis.comparison.paired import paired_interval
from scd_lightning.analysis.formatting import MISSING, number, signed
from scd_lightning.analysis.standing import bounds
from scd_lightning.analysis.statistics import Statistic, sample_score
from scd_lightning.tasks.entity_scores import entity_measures


def where_section(found: Found, plot: str) -> str:
    """Part 5.

    Args:
        found: What there is.
        plot: The plot's path from the page; "" where there is none.
    """
    study, task = found.study, found.study.tasks[0]
    parts = [
        "## Part 5: where it pays",
        f"NER with fewer and more labels, and with other shares of wrong ones, on draws {listed(study.few)}: all cells "
        "that were planned, none added after looking. The other parts stand on a ground that was looked for where "
        "`scd_aw` leads on the tuning draws; this is the picture without that choice. Rates are those that were "
        f"chosen with {study.sizes.train} labels and 2 % wrong; budgets are equal in samples, twice as many with the "
        "most labels. The difference to `sft` on test, paired by draw, with its 95 % interval.",
    ]
    if not found.kept(5, "where", task):
        return paragraphs(*parts, "Nothing is measured yet.")
    rows = []
    for labels, noise in where_part.cells(study.sizes):
        plain = found.values(5, "where", task, named(SFT, labels, noise))
        teacher = found.values(5, "where", task, named(SFT, labels, noise), "teacher")
        others = [found.values(5, "where", task, named(method, labels, noise)) for method in where_part.DISTILLED]
        means = [number(sum(each.values()) / len(each)) if each else MISSING for each in (teacher, plain)]
        gains = [contrast(ours, plain) for ours in others]
        rows.append(
            [f"{labels:,}", f"{noise:.0%}", *means, *(MISSING if gain is None else str(gain) for gain in gains)]
        )
    methods = [f"{method} - {SFT}".replace("_", r"\_") for method in where_part.DISTILLED]
    picture = f"![Differences to fine-tuning by labels and by the share of wrong ones]({plot})" if plot else ""
    return paragraphs(*parts, picture, table(["labels", "wrong", "teacher", "sft", *methods], rows, text=0))


def real_section(found: Found, part: real.RealSet) -> str:
    """Part 3 or 4."""
    parts = [
        f"## Part {part.part}: {part.folder}",
        f"SmolLM2-135M with the vocabulary of the task, its 30 layers thinned and healed for the student; "
        f"{real.ROWS:,} training rows, cut anew with each of draws {listed(found.study.real)}; the whole test "
        "split. `sft` and `td` have the best of three rates by validation, and the other methods that of `td`. Two "
        "draws of one test split: intervals are over its samples, and nothing is claimed beyond these draws.",
    ]
    return paragraphs(*parts, _real_table(found, part.part, "methods", part.folder, real.DISTILLED))


def real_texts(found: Found) -> str:
    """The texts without labels of banking77."""
    folder = real.BANKING77.folder
    runs = ("td", "scheduled_forward", *(f"{name}, {real.TEXTS} texts" for name in WITH_TEXTS))
    return paragraphs(
        f"### {folder}",
        f"{real.TEXT_ROWS} labels, and {real.TEXTS:,} other rows of train without theirs; as in part 3.",
        _real_table(found, 6, "texts", folder, runs),
    )


def _real_table(found: Found, part: int, kind: str, folder: str, runs: tuple[str, ...]) -> str:
    kept = found.kept(part, kind, folder)
    if not kept:
        return "Nothing is measured yet."
    rows = []
    for draw, each in sorted(kept.items()):
        rows.append([str(draw), "teacher", number(each.metric(SFT, "teacher")), MISSING, MISSING])
        for run in (SFT, *runs):
            if run in each.runs:
                against = [_between(each, (run, "student"), other) for other in ((SFT, "student"), (run, "teacher"))]
                shown = [MISSING if run == SFT else against[0], against[1]]
                rows.append([str(draw), run.replace("_", r"\_"), number(each.metric(run)), *shown])
    return table(["draw", "method", "test", "against sft", "against teacher"], rows, text=2)


def _between(kept: Kept, ours: tuple[str, str], theirs: tuple[str, str]) -> str:
    """Ours minus theirs, with the interval of a paired bootstrap over the test samples."""
    found = paired_interval([_scores(kept, *ours)], [_scores(kept, *theirs)], [0])
    return f"{signed(found.value)} ({bounds(found)})"


def _scores(kept: Kept, run: str, role: str) -> Statistic:
    """The primary metric from what is kept of each sample."""
    model = kept.model(run, role)
    if "sums" in model:
        return Statistic(entity_measures()[kept.content["metric"]], np.array(model["sums"], dtype=np.float64))
    return sample_score([{"correct": score} for score in model["scores"]])
