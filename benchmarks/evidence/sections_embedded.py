"""The page's sections on learning rates, on all methods, on texts without labels and on ablations."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from benchmarks.evidence import ablations, main_part, texts_part, tuning
from benchmarks.evidence.contrasts import Contrast, contrast
from benchmarks.evidence.found import Found, Values, gap_closed
from benchmarks.evidence.kept import Kept
from benchmarks.evidence.rates import NotChosen
from benchmarks.evidence.study import TASKS
from benchmarks.evidence.tables import listed, paragraphs, spread, table
from benchmarks.evidence.tuning import METHODS, SFT, SFT_TOTAL, WITH_TEXTS
from scd_lightning.analysis.formatting import MISSING, number, share

_MAIN = (SFT, SFT_TOTAL, *main_part.DISTILLED, *main_part.FROM_ANCHOR)
# What a part of the method is for -> the methods with and without it, and what it is to change.
_CLAIMS = (
    ("the schedule shrinks the deficit", "scd", "td", "deficit"),
    ("the adaptive weight raises the advantage", "td_aw", "td", "advantage"),
    ("the adaptive weight shrinks the deficit", "td_aw", "td", "deficit"),
    ("both shrink the deficit", "scd_aw", "td", "deficit"),
    ("both raise the advantage", "scd_aw", "td", "advantage"),
)


def rates_section(found: Found) -> str:
    """Part 1."""
    study = found.study
    rows = []
    for task in study.tasks:
        for texts_too, methods in ((False, (SFT, SFT_TOTAL, *METHODS)), (True, WITH_TEXTS)):
            for method in methods:
                try:
                    tried = tuning.tried(study, found.rates, task, method, texts_too)
                    best = f"{tuning.best(study, found.rates, task, method, texts_too):g}"
                except NotChosen:
                    continue
                name = f"{method}, {study.sizes.texts[0]} texts" if texts_too else method
                means = [number(fmean(tried[rate])) for rate in sorted(study.grid)]
                rows.append([TASKS[task], _code(name), *means, best])
    head = ["task", "method", *(f"{rate:g}" for rate in sorted(study.grid)), "taken"]
    return paragraphs(
        "## Part 1: learning rates",
        f"The mean of the task's metric over the validation splits of draws {listed(study.tuning)}, at each of three "
        "learning rates; the best is taken, in the parts below too. No model has read a test row here. The teachers' "
        "rates are those of the [demo's search](demo.md), on the same draws. What starts from the anchor takes the "
        f"rate of its method; other methods without texts have that of the nearest one that was tried: {_shared()}.",
        table(head, rows, text=2) if rows else "Nothing is measured yet.",
        _at_ends(rows, head[2:-1]),
    )


def _at_ends(rows: Sequence[Sequence[str]], rates: Sequence[str]) -> str:
    """Which rates are the lowest or the highest that was tried."""
    ends = [f"{task} {method} ({taken})" for task, method, *_, taken in rows if taken in (rates[0], rates[-1])]
    if not ends:
        return ""
    return f"Taken at an end of the rates, beyond which none was planned and a better one may lie: {', '.join(ends)}."


def _shared() -> str:
    sharing: dict[str, list[str]] = {}
    for method, tried in tuning.RATE_OF.items():
        sharing.setdefault(tried, []).append(method)
    return "; ".join(f"{', '.join(map(_code, methods))} that of {_code(tried)}" for tried, methods in sharing.items())


def main_section(found: Found) -> str:
    """Part 2."""
    sizes = found.study.sizes
    epochs = {"epochs": sizes.stage_epochs, "total": sizes.total_stage_epochs}
    parts = ["## Part 2: all methods", _MAIN_INTRO.format(draws=listed(found.study.shown), rows=sizes.train, **epochs)]
    for task in found.study.tasks:
        if found.kept(2, "main", task):
            parts += [f"### {TASKS[task]}", _methods_table(found, task), _total(found, task), _closed(found, task)]
    if len(parts) == 2:
        return paragraphs(*parts, "Nothing is measured yet.")
    return paragraphs(*parts, "### Deficit and advantage", *_decomposition(found))


_MAIN_INTRO = (
    "{rows} rows with 2 % wrong labels, draws {draws}, the test split, each method at the rate of part 1. `sft` is "
    "also the anchor of the adaptive weight. `sft_total` is fine-tuning alone for as many operations as an anchor and "
    "a distillation take together, the teacher's signals included: {total} epochs a stage in place of {epochs}. "
    "`td_from_anchor` and `scd_aw_from_anchor` start from the anchor. Mean ± standard deviation over draws, then the "
    "paired difference with its 95 % interval, which is exploratory except where it is named as primary."
)


def _methods_table(found: Found, task: str) -> str:
    values = {run: found.values(2, "main", task, run) for run in _MAIN}
    teacher = found.values(2, "main", task, SFT, "teacher")
    rows = [["teacher", spread(teacher), _said(contrast(teacher, values[SFT])), MISSING, MISSING]]
    for run, ours in values.items():
        against = [contrast(ours, theirs) if run != other else None for other, theirs in _others(values, teacher)]
        rows.append([_code(run), spread(ours), *map(_said, against)])
    return table(["method", "test", "against sft", "against td", "against teacher"], rows)


def _others(values: Mapping[str, Values], teacher: Values) -> list[tuple[str, Values]]:
    return [(SFT, values[SFT]), ("td", values["td"]), ("teacher", teacher)]


def _total(found: Found, task: str) -> str:
    found_ = contrast(found.values(2, "main", task, "scd_aw"), found.values(2, "main", task, SFT_TOTAL))
    return "" if found_ is None else f"At equal operations, scd_aw - sft_total: {found_}."


def _closed(found: Found, task: str) -> str:
    """The part of the gap closed, where there surely is one."""
    plain = found.values(2, "main", task, SFT)
    teacher = found.values(2, "main", task, SFT, "teacher")
    closed = {run: gap_closed(found.values(2, "main", task, run), plain, teacher) for run in _MAIN if run != SFT}
    parts = [f"{run} {share(value)}" for run, value in closed.items() if value is not None]
    if not parts:
        return "The teacher is not surely above fine-tuning here, so no part of a gap is told."
    return f"Part of the gap between fine-tuning and teacher that is closed: {', '.join(parts)}."


def _decomposition(found: Found) -> list[str]:
    intro = (
        "A student's error minus its teacher's is its deficit, on samples where it is the worse of the two, minus its "
        "advantage, on those where it is the better one. Means over draws, in error; then what was to be expected of "
        "the method's two parts, with what is seen (95 % intervals, exploratory)."
    )
    head = ["task", "method", "deficit", "advantage"]
    rows = [
        [TASKS[task], _code(run), *(spread(_part(found, task, run, part)) for part in ("deficit", "advantage"))]
        for task in found.study.tasks
        for run in _MAIN
        if found.kept(2, "main", task)
    ]
    claims = []
    for words, ours, theirs, part in _CLAIMS:
        seen = {
            task: contrast(_part(found, task, ours, part), _part(found, task, theirs, part))
            for task in found.study.tasks
        }
        told = "; ".join(
            f"{TASKS[task]} {each}: {_holds(each, part)}" for task, each in seen.items() if each is not None
        )
        claims.append(f"- That {words} ({ours} - {theirs}): {told}.")
    return [intro, table(head, rows, text=2), "\n".join(claims)]


def _part(found: Found, task: str, run: str, part: str) -> Values:
    def take(kept: Kept) -> float:
        return kept.runs[run]["subdomains"]["student_vs_teacher"]["error"][part]

    return found.of(2, "main", task, run, take)


def _holds(seen: Contrast, part: str) -> str:
    wanted = -1 if part == "deficit" else 1
    return {wanted: "seen", 0: "not told apart", -wanted: "the opposite is seen"}[seen.side]


def texts_section(found: Found) -> str:
    """Part 6, on the embedded tasks."""
    study = found.study
    chosen, *others = study.sizes.texts
    parts = [
        "## Part 6: texts without labels",
        f"The rows of part 2, and {chosen:,} texts without labels, which the teacher answers; on draws "
        f"{listed(study.few)} also {' and '.join(f'{each:,}' for each in others)}. All students see as many samples. "
        f"`{texts_part.AGAIN}` is the teacher's base model trained on the rows and on its answers to {chosen:,} texts, "
        "with the teacher's rate and as many samples as it has seen.",
    ]
    for task in study.tasks:
        if found.kept(6, "texts", task):
            parts += [f"### {TASKS[task]}", _texts_table(found, task)]
    return paragraphs(*parts, "" if len(parts) > 2 else "Nothing is measured yet.")


def _texts_table(found: Found, task: str) -> str:
    def of(run: str, role: str = "student") -> Values:
        return found.values(6, "texts", task, run, role)

    plain, teacher = of(SFT), of(SFT, "teacher")
    runs = [SFT, *texts_part.WITHOUT]
    for texts in sorted(found.study.sizes.texts):
        runs += [texts_part.named(method, texts) for method in WITH_TEXTS]
    rows = [["teacher", spread(teacher), listed(teacher), _said(contrast(teacher, plain)), MISSING]]
    for run in [*runs, texts_part.AGAIN]:
        ours = of(run)
        if ours:
            against = [contrast(ours, plain) if run != SFT else None, contrast(ours, teacher)]
            rows.append([_code(run), spread(ours), listed(ours), *map(_said, against)])
    return table(["method", "test", "draws", "against sft", "against teacher"], rows)


def ablations_section(found: Found) -> str:
    """Part 7."""
    draws = found.study.tuning[: len(found.study.few)]
    parts = [
        "## Part 7: one factor at a time",
        f"Each setting differs from `{ablations.BASE}` in one thing and has its rate; draws {listed(draws)}, on which "
        "that rate was chosen, and the validation split alone: what parts do is to be seen, and nothing is reported of "
        "it. Where stages differ, so do those of the anchor. The difference to the base, paired by draw, with its 95 % "
        "interval.",
    ]
    runs = _ablation_names(found)
    if runs:
        head = ["setting", *(TASKS[task] for task in found.study.tasks)]
        rows = [[_code(run), *(_ablated(found, task, run) for task in found.study.tasks)] for run in runs]
        parts.append(table(head, rows))
    return paragraphs(*parts, "" if runs else "Nothing is measured yet.")


def _ablation_names(found: Found) -> Sequence[str]:
    names: dict[str, None] = {}
    for task in found.study.tasks:
        for kept in found.kept(7, "ablations", task).values():
            names |= dict.fromkeys(kept.runs)
    return list(names)


def _ablated(found: Found, task: str, run: str) -> str:
    ours, base = (found.values(7, "ablations", task, each) for each in (run, ablations.BASE))
    return spread(ours) if run == ablations.BASE else _said(contrast(ours, base))


def _said(seen: Contrast | None) -> str:
    return MISSING if seen is None else str(seen)


def _code(name: str) -> str:
    return name.replace("_", r"\_")
