"""docs/demo.md and the README's table of the demo, from what was measured."""

import math
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, variance
from typing import Any

from benchmarks.demo import shown, texts_page
from benchmarks.demo.rule import Choice, Model, Outcome, Search
from benchmarks.demo.shown import TASKS
from benchmarks.settings import ROOT
from scd_lightning.training.pretraining import read_record

PAGE, README = ROOT / "docs" / "demo.md", ROOT / "README.md"
BEGIN, END = "<!-- demo: made by `python -m benchmarks.demo page` -->", "<!-- end of demo -->"
_WIDTH = 120
_HEAD = """# The demo, and how its ground was looked for

{caveat}`make demo` takes under ten minutes on two cores of a CPU: named entity recognition on three draws of the
embedded data, plain fine-tuning (`sft`) beside distillation from the best checkpoint (`td`) and the scheduled,
adaptively weighted one (`scd_aw`). `make demo TASK=qa` and `TASK=classification` do the same on the other two tasks,
with the same models and epochs. It is a demo of a ground that was looked for, as said below, and no evidence for
other grounds.

This page is made by `python -m benchmarks.demo page` from what is kept in `benchmarks/demo/`.
"""
_MORE = "Three draws say little. On all draws from {draws}"
_ELSEWHERE = "The same command on a processor that rounds otherwise, which a training amplifies"
_OPEN = "The search for the demo's ground is not finished: until then it has the first candidate's. "
_NO_TABLE = "The search for the demo's ground is not finished, and no table is shown before it is."
_NOT_MET = "The rule by which the demo's ground was looked for was not met by any candidate: shown is {shown}. "
_WORLD = """## The ground

All texts are sentences about one invented world in English and Japanese. Which of its names is a medicine and which a
company is pure memory, and some names can only be told by a cue in the sentence. A draw is one seed: it draws the
rows, the wrong labels, the order of training and the probe set. Where a text may stand (training, validation, test,
the base models' corpus) is a fixed matter of the text, so no draw tests what another trains on, and no base model has
seen a training or test text.

The pair is pretrained, as language models are: on {tokens:.0f} million tokens of plain sentences about that world, in
documents of several sentences about one name, of sentences with parts of them quoted, and of two sentences. The
corpus holds no label, no marked name and none of the prompts; the tokenizer, which both share, knows the labels'
names and the prompts' wording as words. `python -m scd_lightning.training.pretraining` makes the models again.

| base model | parameters | held-out loss, nats a token |
| --- | ---: | ---: |
{models}
"""
_RULE = """## How it was chosen

On draws {draws}, which appear in no other table, on the validation split ({validation} rows each), in the task's own
metric (F1), never on a test row. The candidates were listed in order of cost before any was measured.{extension} Of
each, first the anchor (the student fine-tuned alone) and then the teacher get their learning rate, of three, and are
shown to have converged: twice the epochs add less than {converged} point on average. Taken is the first candidate where
also the teacher is {lead} points or more above the anchor, and `scd_aw`, with its own rate of the same three, {gain} or
more above it, and above on each draw. {outcome}

{candidates}

Numbers are means over the draws. "Adds" is what twice the epochs add. "Gain" is `scd_aw` minus fine-tuning, with each
draw; it was measured where the columns before it allowed, or at the end, where no candidate passed. `td` has the rate
of `scd_aw`. {spread}

{grids}
"""


def write(search: Search, choice: Choice, rates: dict[str, Outcome]) -> list[Path]:
    """Writes the page, and the block in the README.

    Args:
        search: The candidates.
        choice: What the rule says.
        rates: Task -> what was found of the chosen candidate on it.
    """
    caveat = _caveat(search, choice)
    head = _HEAD.format(caveat=caveat)
    text = "\n".join([head, _world(), _rule(search, choice), _other_rates(rates), *_tables(), texts_page.section()])
    PAGE.write_text(_wrapped(text.rstrip()) + "\n", encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    kept = shown.read("ner")
    block = _wrapped(f"{caveat}\n\n{kept['table'].rstrip() + _short(kept) if kept else _NO_TABLE}".strip())
    README.write_text(f"{before}{BEGIN}\n{block}\n{END}{after}", encoding="utf-8")
    return [PAGE, README]


def _caveat(search: Search, choice: Choice) -> str:
    """What has to be known before anything else, or nothing."""
    if choice.chosen is None:
        return _OPEN
    if choice.met:
        return ""
    best = "the best of those that converged" if choice.chosen.converged(search) else "the one nearest to convergence"
    return _NOT_MET.format(shown=best)


def _world() -> str:
    models = read_record()["models"]
    lines = [f"| {name} | {each['parameters']:,} | {each['held_out_loss']:.3f} |" for name, each in models.items()]
    tokens = next(iter(models.values()))["tokens"] / 1e6
    return _WORLD.format(tokens=tokens, models="\n".join(lines))


def _rule(search: Search, choice: Choice) -> str:
    points = {name: f"{100 * getattr(search, name):.0f}" for name in ("converged", "lead", "gain")}
    return _RULE.format(
        draws=f"{search.draws[0]} to {search.draws[-1]}",
        validation=search.validation,
        extension=_extension(search),
        outcome=_outcome(search, choice),
        candidates=_candidates(search, choice),
        spread=_spread(choice),
        grids="\n".join(f"- {each.candidate.name}, by learning rate: {_by_rate(each)}" for each in choice.outcomes),
        **points,
    )


def _extension(search: Search) -> str:
    if not search.extension:
        return ""
    names = ", ".join(each.name for each in search.extension)
    return f" None of those was one to take, and the list was extended, once: {names}."


def _outcome(search: Search, choice: Choice) -> str:
    if choice.chosen is None:
        return "None has passed so far."
    name = choice.chosen.candidate.name
    if choice.met:
        return f"That is {name}."
    if choice.chosen.converged(search):
        return f"None passed; of those that converged, {name} has the largest gain."
    return f"None converged; {name} came nearest to it."


def _candidates(search: Search, choice: Choice) -> str:
    head = ["candidate", "student", "rows", "wrong labels", "epochs of teacher, students", "batch", "teacher", "adds"]
    head += ["anchor", "adds", "teacher - anchor", "gain", "by draw", "outcome"]
    lines = [_line(head), _line(["---"] * len(head))]
    found = {each.candidate.name: each for each in choice.outcomes}
    for candidate in search.candidates:
        epochs = f"{candidate.teacher_epochs}, {candidate.stages} x {candidate.stage_epochs}"
        cells = [candidate.name, candidate.student, str(candidate.rows), f"{candidate.noise:.0%}", epochs]
        cells += [str(candidate.batch)]
        if candidate.name not in found:
            empty = [""] * (len(head) - len(cells) - 1)
            lines.append(_line([*cells, *empty, candidate.left_out or "not reached"]))
            continue
        outcome = found[candidate.name]
        cells += [*_reached(outcome, "teacher"), *_reached(outcome, "anchor")]
        gains = outcome.gains if "student" in outcome.rates else []
        cells += [f"{outcome.lead:+.3f}" if "teacher" in outcome.rates else "", f"{fmean(gains):+.3f}" if gains else ""]
        cells += [", ".join(f"{gain:+.3f}" for gain in gains), _said(search, choice, outcome)]
        lines.append(_line(cells))
    return "\n".join(lines)


def _reached(outcome: Outcome, model: Model) -> list[str]:
    if model not in outcome.longer:
        return ["", ""]
    return [f"{fmean(outcome.metric(model)):.3f}", f"{outcome.added(model):+.3f}"]


def _said(search: Search, choice: Choice, outcome: Outcome) -> str:
    if outcome is choice.chosen:
        return "taken" if outcome.converged(search) else "taken, though not converged"
    if not outcome.converged(search):
        return "not converged"
    return "teacher not far enough ahead" if outcome.lead < search.lead else "gain too small"


def _spread(choice: Choice) -> str:
    """How far chance moves a candidate's numbers, from all anchors that were measured."""
    anchors = [values for outcome in choice.outcomes for values in outcome.by_rate["anchor"].values()]
    if not anchors:
        return ""
    points = 100 * math.sqrt(fmean(variance(values) for values in anchors))
    error = points / math.sqrt(len(anchors[0]))
    return (
        f"With all settings equal, an anchor's F1 differs from draw to draw by a standard deviation of {points:.1f} "
        f"points, so the standard error of a mean is about {error:.1f}, and much of the difference between candidates, "
        "and of what more epochs add, is chance."
    )


def _by_rate(outcome: Outcome) -> str:
    """The rates that a candidate's models were tried with."""
    parts = []
    for model, by_rate in outcome.by_rate.items():
        values = (f"{rate:g} {fmean(values):.3f}" for rate, values in by_rate.items())
        parts.append(f"{model} {', '.join(values)}")
    return f"{'; '.join(parts)}."


def _other_rates(rates: dict[str, Outcome]) -> str:
    if not rates:
        return ""
    lines = [f"- {TASKS[task]}: {_by_rate(outcome)}" for task, outcome in rates.items()]
    intro = "The other tasks take the chosen candidate's models and epochs, and their learning rates by the same draws:"
    return "\n".join([intro, "", *lines, ""])


def _tables() -> list[str]:
    parts = []
    for task, name in TASKS.items():
        kept = shown.read(task)
        if kept is not None:
            parts += [f"### {name}\n", kept["table"], f"{shown.warned(kept)} {shown.where_measured(kept)}", ""]
            if kept.get("further"):
                parts += [f"{_MORE.format(draws=_span(kept))}:\n", kept["further"]["table"]]
            for other in kept.get("elsewhere", []):
                parts += [
                    f"{_ELSEWHERE}:\n",
                    other["table"],
                    f"{shown.warned(other)} {shown.where_measured(other)}",
                    "",
                ]
    return ["## What it shows\n", *(parts or [_NO_TABLE])]


def _short(kept: dict[str, Any]) -> str:
    """What is true on more draws than the demo takes, and what other machines have shown, or nothing."""
    parts = []
    if kept.get("further"):
        *_, verdict = kept["further"]["table"].strip().split("\n\n")
        parts.append(f"{_MORE.format(draws=_span(kept))}, run with the same settings after the demo:\n\n{verdict}")
    for other in kept.get("elsewhere", []):
        told = ", ".join(_mean(row["method"], row, "student") for row in other["comparison"]["rows"])
        teacher = _mean("teacher", other["comparison"]["rows"][0], "teacher")
        page = "[docs/demo.md](docs/demo.md#what-it-shows)"
        parts.append(f"{_ELSEWHERE} ({page}): {told}, {teacher}. So much is chance on three draws.")
    return "".join(f"\n\n{part.strip()}" for part in parts)


def _mean(name: str, row: dict[str, Any], model: str) -> str:
    value = row["values"][f"metrics.{model}.f1"]
    return f"{name} {value['mean']:.3f} ±{value['spread']:.3f}"


def _span(kept: dict[str, Any]) -> str:
    draws = kept["further"]["draws"]
    return f"{draws[0]} to {draws[-1]}"


def _wrapped(text: str) -> str:
    """Breaks the lines of plain paragraphs anew; what was filled in has made them longer or shorter."""
    fill = partial(textwrap.fill, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    parts = text.split("\n\n")
    return "\n\n".join(part if part.lstrip().startswith(("#", "|", "-")) else fill(part) for part in parts)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
