"""The part of docs/demo.md on texts without labels: two series on the tuning draws, and what was shown on others."""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, variance

from benchmarks.demo import shown_texts
from benchmarks.demo.texts import BEST, SERIES, Record, Wanted, Way, read, read_wanted, way_of
from scd_lightning.analysis.bootstrap import LEVEL, Interval
from scd_lightning.analysis.comparison.student_t import two_sided_quantile
from scd_lightning.analysis.standing import bounds, standing

# Way -> draw -> record; those that were measured on all draws, where it matters.
Runs = Mapping[int, Record]
Groups = Mapping[Way, Runs]
_INTRODUCTION = """## Texts without labels

`make demo TEXTS=1` adds students that learn from {texts:,} texts without labels, which the teacher answers, and from
the 600 rows. The ways to do so were listed before any was measured, and are compared on draws {draws} by the validation
split, all students at {samples:,} samples. `{rival}` is fine-tuned on the same answers as if they were labels; u is the
share of the teacher's distribution in a text's loss (`unlabelled.weight`), and "from" says whose that is, the stage's
checkpoint's or always the best one's (`unlabelled.from`).

There are two series: first all ways at one rate, then three rates of the best way and of `{rival}`. They were measured
on different machines, whose rounding differs, and with it what every training comes to, teacher and anchor too: no
number of one series can be held against one of the other. The best checkpoint's distribution was not on the first list;
it was tried last, at the rate that the others had shown to be the best.
"""
_TITLES = {"ways": "Which way", "rates": "Which rate"}
_SERIES = """### {title}

{table}

{missing}Mean F1 on validation and each draw; "against {rival}" is the mean difference on the same draws, at the same
rate, with its 95 % interval. In this series the teacher has {teacher:.3f}, and the student fine-tuned on the rows alone
{anchor:.3f}. {spread}

{verdict}
"""
_TAKEN = """The demo takes the rate with the highest mean on validation, of each of the two its own, with the stage's
distribution: {rates}."""


def section() -> str:
    """The whole part; nothing before anything is kept."""
    records, wanted = read(), read_wanted()
    if not records:
        return ""
    introduction = _INTRODUCTION.format(
        texts=wanted.texts,
        samples=wanted.samples,
        rival=wanted.rival,
        draws=f"{wanted.draws[0]} to {wanted.draws[-1]}",
    )
    parts = [_series(name, [each for each in records if each["series"] == name], wanted) for name in SERIES]
    return "\n".join([introduction, *parts, *shown_texts.tables()])


def chosen_rates(records: Sequence[Record], wanted: Wanted) -> dict[str, float]:
    """The rate that the demo takes of the best way and of its rival; without those not measured on all draws."""
    found: dict[str, float] = {}
    groups = _whole(_grouped([each for each in records if each["series"] == "rates"]), wanted)
    for way in sorted(groups, key=lambda way: -_mean(groups[way])):
        if way.source != BEST:
            found.setdefault(way.method, way.rate)
    return found


def _series(name: str, records: Sequence[Record], wanted: Wanted) -> str:
    if not records:
        return ""
    groups = _grouped(records)
    whole, by_draw = _whole(groups, wanted), {each["draw"]: each for each in records}
    missing = [_name(way) for way in wanted.series[name].ways(wanted.rival) if way not in whole]
    return _SERIES.format(
        title=_TITLES[name],
        table=_table(groups, wanted),
        missing=f"Not measured on all draws yet: {', '.join(missing)}. " if missing else "",
        rival=wanted.rival,
        teacher=fmean(each["teacher"] for each in by_draw.values()),
        anchor=fmean(each["anchor"] for each in by_draw.values()),
        spread=_spread(whole),
        verdict=_of_ways(whole, wanted) if name == "ways" else _of_rates(whole, records, wanted),
    )


def _grouped(records: Sequence[Record]) -> dict[Way, dict[int, Record]]:
    groups: dict[Way, dict[int, Record]] = {}
    for record in records:
        groups.setdefault(way_of(record), {})[record["draw"]] = record
    return groups


def _whole(groups: Groups, wanted: Wanted) -> Groups:
    return {way: runs for way, runs in groups.items() if len(runs) == len(wanted.draws)}


def _table(groups: Groups, wanted: Wanted) -> str:
    draws = wanted.draws
    head = ["method", "u", "from", "rate", "mean", *(f"draw {draw}" for draw in draws), f"against {wanted.rival}"]
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3)]
    whole = _whole(groups, wanted)
    for way, runs in sorted(groups.items(), key=lambda group: -_mean(group[1])):
        rival = Way(wanted.rival, 0.0, "", way.rate)
        values = [f"{runs[draw]['student']:.3f}" if draw in runs else "" for draw in draws]
        told = [way.method, f"{way.weight:g}" if way.source else "", way.source, f"{way.rate:g}"]
        gain = _gain(difference(runs, whole[rival])) if way != rival and {way, rival} <= whole.keys() else ""
        lines.append([*told, f"{_mean(runs):.3f}" if way in whole else "", *values, gain])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _gain(found: Interval) -> str:
    return f"{found.value:+.3f} ({bounds(found)})"


def difference(ours: Runs, theirs: Runs) -> Interval:
    """The student of some runs minus that of others on the same draws, with the interval that the draws give."""
    by_draw = [ours[draw]["student"] - theirs[draw]["student"] for draw in sorted(ours)]
    value, count = fmean(by_draw), len(by_draw)
    half = two_sided_quantile(LEVEL, count - 1) * sqrt(variance(by_draw) / count)
    return Interval(value, value - half, value + half, LEVEL, count, 0, by_draw)


def _spread(whole: Groups) -> str:
    """How far chance moves a number; nothing where nothing is whole."""
    if not whole:
        return ""
    values = [[each["student"] for each in runs.values()] for runs in whole.values()]
    points = 100 * sqrt(fmean(variance(each) for each in values))
    return (
        f"With all settings equal, a student's F1 differs from draw to draw by a standard deviation of {points:.1f} "
        f"points, so the standard error of a mean of {len(values[0])} is about {points / sqrt(len(values[0])):.1f}."
    )


def _of_ways(whole: Groups, wanted: Wanted) -> str:
    ours = {way: runs for way, runs in whole.items() if way.method != wanted.rival}
    return f"- {_ahead(ours, 'all that learn from a distribution')}" if ours else ""


def _of_rates(whole: Groups, records: Sequence[Record], wanted: Wanted) -> str:
    rates = chosen_rates(records, wanted)
    lines = []
    for method in rates:
        own = {way: runs for way, runs in whole.items() if way.method == method}
        lines.append(f"- {_ahead(own, f'all by {method}')}")
    if len(rates) < 2:
        return "\n".join(lines)
    best, rival = (_at(whole, method, rates[method]) for method in (wanted.best, wanted.rival))
    than = f"`{wanted.rival}` at {rates[wanted.rival]:g}"
    found = standing(difference(whole[best], whole[rival]), than, "draw")
    lines.append(f"- Each at its own rate, {wanted.best} at {rates[wanted.best]:g} is {found}.")
    taken = ", ".join(f"{rates[method]:g} for `{method}`" for method in (wanted.best, wanted.rival))
    return "\n".join(lines) + f"\n\n{_TAKEN.format(rates=taken)}"


def _at(whole: Groups, method: str, rate: float) -> Way:
    return next(way for way in whole if (way.method, way.rate) == (method, rate) and way.source != BEST)


def _ahead(whole: Groups, among: str) -> str:
    """Which way has the highest mean, and which of the others these draws tell apart from it."""
    first, *others = sorted(whole, key=lambda way: -_mean(whole[way]))
    found = {way: difference(whole[first], whole[way]) for way in others}
    words = {1: " It is above", 0: " Not told apart from it:"}
    told = {
        side: "; ".join(f"{_name(way)}, by {_gain(each)}" for way, each in found.items() if each.side == side)
        for side in words
    }
    parts = "".join(f"{word} {told[side]}." for side, word in words.items() if told[side])
    return f"{_name(first)} has the highest mean of {among}.{parts}"


def _name(way: Way) -> str:
    weight = f" with u = {way.weight:g}" if way.source else ""
    return f"{way.method}{weight}{', from the best checkpoint,' if way.source == BEST else ''} at {way.rate:g}"


def _mean(runs: Runs) -> float:
    return fmean(each["student"] for each in runs.values())
