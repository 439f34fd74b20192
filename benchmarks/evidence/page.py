"""docs/results.md and its plots, from the blocks' files alone: no number is typed."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.evidence import main_part, real
from benchmarks.evidence.contrasts import contrast
from benchmarks.evidence.found import Found
from benchmarks.evidence.parts import PARTS
from benchmarks.evidence.plots import Panel, draw, headline, methods_panels, where_panels
from benchmarks.evidence.primary import FAMILY, METHOD, Primary, primaries, primary_table
from benchmarks.evidence.repeats import repeats_section
from benchmarks.evidence.sections_embedded import ablations_section, main_section, rates_section, texts_section
from benchmarks.evidence.sections_others import real_section, real_texts, where_section
from benchmarks.evidence.study import TASKS, Study
from benchmarks.evidence.tables import listed, paragraphs, table
from benchmarks.evidence.tuning import SFT, SFT_TOTAL
from benchmarks.settings import ROOT
from scd_lightning.store.manifest import write_atomically, write_text

# An interval in a table.
_INTERVAL = re.compile(r"\([+-]?[0-9.e-]+ to [+-]?[0-9.e-]+[;)]")
PAGE = ROOT / "docs" / "results.md"
_COMMANDS = """\
    make evidence PART=1                         # a part's blocks that are not there yet; killed, it goes on
    make evidence PART=3 DATA=/data              # with the folder of the real data sets
    make results                                 # this page
    python -m benchmarks.evidence list           # which blocks are there
    python -m benchmarks.evidence again --part 2 --kind main --task ner --draw 10 --build /tmp/again"""
_NOTES = (
    "Part 1 comes before all that are on embedded data: they have its rates. A block is run once for its settings; one "
    "that was shown on test is not run again with others. The last command runs a block anew in an empty store and "
    "says how far its numbers are from those in its file: by nothing with the same kernels of torch; others round "
    "otherwise, and what a training comes to differs. A processor with AVX512 has those of AVX2 too, by "
    "`ATEN_CPU_CAPABILITY=avx2` in the environment, with which `make evidence` makes all blocks from now on."
)
_STATES = {
    "done": "there",
    "missing": "missing",
    "waits": "waiting for rates",
    "other settings": "of other settings, not shown",
}


def write(study: Study, page: Path = PAGE) -> list[Path]:
    """Writes the page, and its plots in a folder of the same name beside it.

    Args:
        study: Whose blocks are shown.
        page: Where to.

    Returns:
        What was written.
    """
    found, written = Found(study), []
    for name, panels in _plots(found).items():
        path = page.with_suffix("") / f"{name}.svg"
        write_atomically(path, partial(Path.write_bytes, data=draw(panels, f"difference to {SFT} on test")))
        written.append(path)
    write_text(page, text(found, page.stem) + "\n")
    return [page, *written]


def _plots(found: Found) -> dict[str, list[Panel]]:
    """Name -> what is in a plot, of plots and panels alone that have something to show."""
    every = {"where": where_panels(found), "methods": methods_panels(found, _shown_methods())}
    shown = {name: [each for each in panels if each.shows] for name, panels in every.items()}
    return {name: panels for name, panels in shown.items() if panels}


def _shown_methods() -> tuple[str, ...]:
    return (SFT_TOTAL, *main_part.DISTILLED, *main_part.FROM_ANCHOR)


def text(found: Found, folder: str = PAGE.stem) -> str:
    """The page.

    Args:
        found: What there is.
        folder: Where the plots are, beside the page.
    """
    plots = {name: f"{folder}/{name}.svg" for name in _plots(found)}
    every = primaries(found)
    shown = paragraphs(
        main_section(found),
        real_section(found, real.BANKING77),
        real_section(found, real.NCBI),
        where_section(found, plots.get("where", "")),
        texts_section(found),
        real_texts(found),
        ablations_section(found),
    )
    picture = f"![Differences to fine-tuning of all methods]({plots['methods']})" if "methods" in plots else ""
    return paragraphs(
        "# Results",
        " ".join(words for words in (_primary_words(every), _others(found), _open(found)) if words),
        "This page and its plots are made by `python -m benchmarks.evidence page` from the files in "
        "`benchmarks/evidence/blocks/`, which `make evidence` makes, block by block: one task on one draw each.",
        "## The primary comparisons",
        _primary_intro(found, len(_INTERVAL.findall(shown))),
        primary_table(found),
        "## What to keep in mind",
        _caveats(found),
        picture,
        shown,
        rates_section(found),
        _blocks(found),
    )


def _primary_words(every: Sequence[Primary]) -> str:
    """What holds and what does not, of the primary comparisons."""
    measured = [each for each in every if each.contrast is not None]
    if not measured:
        return "Nothing is known yet: none of the primary comparisons is measured."
    words = [f"Measured: {len(measured)} of {FAMILY} primary comparisons."]
    said = {
        "above": "Surely above zero, all {n} taken together",
        "below": "Surely below zero",
        "not told apart": "Not told apart from zero",
    }
    for verdict, start in said.items():
        these = [each for each in measured if each.verdict == verdict]
        if these:
            means = ", ".join(
                f"{TASKS[each.task]}: {each.name} ({each.contrast.mean:+.3f})" for each in these if each.contrast
            )
            words.append(f"{start.format(n=FAMILY)}: {means}.")
    few = [
        f"{TASKS[each.task]}: {each.name} ({len(each.contrast.by_draw)} of {each.planned})"
        for each in measured
        if each.contrast is not None and len(each.contrast.by_draw) < each.planned
    ]
    if few:
        words.append(f"Not on all draws yet: {', '.join(few)}.")
    return " ".join(words)


def _others(found: Found) -> str:
    """What part 5 and the comparison with plain distillation say."""
    above, below, cells = headline(where_panels(found))
    words = []
    if cells:
        words.append(
            f"Of {cells} grounds with few and many, right and wrong labels, {METHOD} is surely above fine-tuning on "
            f"{above} and surely below on {below}."
        )
    against = []
    for task in found.study.tasks:
        seen = contrast(found.values(2, "main", task, METHOD), found.values(2, "main", task, "td"))
        if seen is not None:
            against.append(f"{TASKS[task]} {seen}")
    if against:
        words.append(f"Against traditional distillation ({METHOD} - td): {'; '.join(against)}.")
    return " ".join(words)


def _open(found: Found) -> str:
    missing = sum(there != "done" for there in found.states.values())
    return f"{missing} of {len(found.states)} planned blocks are not there." if missing else ""


def _primary_intro(found: Found, others: int) -> str:
    texts = found.study.sizes.texts[0]
    return (
        f"Two a task were named before anything was measured: {METHOD} - {SFT} without texts, and the best method with "
        f"{texts:,} texts without labels, chosen on the tuning draws, minus its teacher. Each is at its own best rate "
        "of three, chosen on the validation split of the tuning draws. The unit is the draw: mean of the paired "
        "differences with Student's t interval, which is as wide as Holm's first step over all "
        f"{FAMILY} asks for; a verdict goes by Holm's p below .05. All other differences on this page are exploratory: "
        f"it has {others} more intervals, of which one in twenty leaves out the truth by chance."
    )


def _caveats(found: Found) -> str:
    few = listed(found.study.few)
    return "\n".join(
        f"- {each}"
        for each in (
            f"The embedded ground was looked for where `{METHOD}` leads on the tuning draws ([the demo](demo.md) says "
            "how, and that it leads nowhere as the rule asks); part 5 is the picture without that choice.",
            f"Draws {few} were seen when the demo was made, so primary results stand without them too.",
            "All embedded results are of one pretrained pair, and of one invented world.",
            "`sft` is also the anchor of the adaptive weight: a draw's `sft` that is poor by chance is a poor anchor.",
            "The methods of a draw share its teacher, its anchor and its rows: differences are paired, and spreads of "
            "two methods beside each other tell nothing.",
            "Real results are of two draws, and their intervals of test samples: no claim goes beyond these draws.",
            "A training that had not converged by its own measure is counted below.",
        )
    )


def _blocks(found: Found) -> str:
    head = ["part", "blocks planned", *_STATES.values(), "hours", "trainings that warn of their budget"]
    rows = []
    for number, part in PARTS.items():
        states = Counter(there for block, there in found.states.items() if block.part == number)
        kept = [each for each in found.every if each.content["part"] == number]
        hours = sum(each.content["seconds"] for each in kept) / 3600
        warned = sum(bool(run["convergence"]) for each in kept for run in each.runs.values())
        runs = sum(len(each.runs) for each in kept)
        counts = [str(states[each]) for each in _STATES]
        rows.append([f"{number}: {part.title}", str(states.total()), *counts, f"{hours:.1f}", f"{warned} of {runs}"])
    made = (_made(found), _missing(found), _COMMANDS, _NOTES)
    return paragraphs("## The blocks", table(head, rows), *made, repeats_section(found))


def _missing(found: Found) -> str:
    missing: dict[tuple[int, str, str], list[int]] = {}
    for block, there in found.states.items():
        if there != "done":
            missing.setdefault((block.part, block.kind, block.task), []).append(block.draw)
    if not missing:
        return "All planned blocks are there."
    words = [f"part {part}, {kind}, {task}, draws {listed(draws)}" for (part, kind, task), draws in missing.items()]
    return f"Not there: {'; '.join(words)}."


def _machine(machine: Mapping[str, Any]) -> str:
    kernels = machine.get("kernels", "kernels not noted")
    return f"{machine['cores']} cores of {machine['cpu']}, {kernels}"


def _made(found: Found) -> str:
    """Where and with what the blocks were made."""
    every = found.every
    if not every:
        return ""

    def told(what: str, values: Counter[str]) -> str:
        return f"{what} {', '.join(f'{name} ({n})' for name, n in sorted(values.items()))}"

    machines = Counter(_machine(each.content["machine"]) for each in every)
    commits = Counter(str(each.content["commit"]) for each in every)
    formats = Counter(str(each.content["numeric_format"]) for each in every)
    return f"Blocks by {told('machine:', machines)}; {told('commit:', commits)}; {told('numeric format:', formats)}."
