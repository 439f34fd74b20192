"""The numbers that the framework sets out to reach, and whether it does; told from the rows alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rows import (
    Row,
    StepCase,
    asking_ratio,
    batching_ratio,
    check_ratio,
    copy_speed,
    floor_ratio,
    loaded,
    narrow_floor_ratio,
    relative_speed,
    run_named,
    run_ratio,
    saving_share,
    search_ratio,
    speed,
    text_ratios,
)
from benchmarks.settings import PEERS


@dataclass(frozen=True)
class Target:
    """One number to reach.

    Attributes:
        what: The number in words.
        limit: What it should be, in words.
        measured: What it is, in words; "not measured" where a row is missing.
        reached: Whether it is; None where it was not measured.
    """

    what: str
    limit: str
    measured: str
    reached: bool | None


def targets(sections: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """All targets.

    Args:
        sections: Section -> the content of its file; sections may be missing.
    """
    rows = {name: list(content["rows"]) for name, content in sections.items()}
    return [
        *_of_pipeline(rows.get("pipeline", [])),
        *_of_steps([StepCase(row) for row in rows.get("steps", [])]),
        *_of_runs(rows.get("runs", [])),
        *_of_reload(rows.get("reload", [])),
        *_of_startup(rows.get("startup", [])),
        *_of_processes(rows.get("processes", [])),
        *_of_saving(rows.get("saving", [])),
        *_of_texts(rows.get("texts", [])),
        *_of_gold(rows.get("gold", [])),
        *_of_candidates(rows.get("candidates", [])),
        *_of_predicting(rows.get("predicting", [])),
        *_of_serving(rows.get("serving", [])),
    ]


def at_most(what: str, values: Mapping[str, float | None], limit: float, form: str = "{:.2f} x") -> Target:
    """A target on the largest of some values, which are named where there are several.

    Args:
        what: The number in words.
        values: Where -> value.
        limit: The most that it may be.
        form: How a number is written.
    """
    return _target(what, values, limit, form, most=True)


def at_least(what: str, values: Mapping[str, float | None], limit: float, form: str = "{:.2f} x") -> Target:
    """A target on the smallest of some values; see `at_most`."""
    return _target(what, values, limit, form, most=False)


def _target(what: str, values: Mapping[str, float | None], limit: float, form: str, *, most: bool) -> Target:
    bound = f"at {'most' if most else 'least'} {form.format(limit)}"
    known = {where: value for where, value in values.items() if value is not None}
    if not known:
        return Target(what, bound, "not measured", None)
    where, worst = (max if most else min)(known.items(), key=lambda item: item[1])
    told = form.format(worst) + (f" ({where})" if len(known) > 1 else "")
    return Target(what, bound, told, worst <= limit if most else worst >= limit)


def _of_pipeline(rows: Sequence[Row]) -> list[Target]:
    """Signals are the same numbers, stored or live, in whichever batches they are made; what differs is rounding."""
    found = [row for row in rows if row["teacher"] == "live" and row["precision"] == "32-true"]
    apart = {row["name"]: None if row["error"] else max(row["apart"].values()) for row in found}
    failed = {"": float(sum(row["error"] is not None for row in rows))} if rows else {}
    return [
        at_most("commands of run.py that fail on this device", failed, 0, "{:.0f}"),
        at_most("losses on test samples apart, signals stored and live, float32", apart, 1e-3, "{:.1g}"),
    ]


def _of_steps(cases: Sequence[StepCase]) -> list[Target]:
    large = [case for case in cases if case.has_smollm2_student and case.share == 97]
    found = [
        at_most("a cached step beside its floor", _each(cases, "cached", "floor"), 1.10),
        at_most("a cached step beside fine-tuning, SmolLM2's shape, 97 % prompt", _each(large, "cached", "sft"), 1.05),
    ]
    for share, factor in ((75, 4.0), (97, 6.0)):
        found += _beside_peers([case for case in cases if case.share == share], share, factor)
    found.append(at_most("our fine-tuning step beside a bare PyTorch loop", _each(cases, "sft", "bare"), 1.15))
    differences = {case.about: case.loss_difference for case in cases}
    return [*found, at_most("losses of the first 10 steps apart", differences, 1e-4, "{:.1g}")]


def _beside_peers(cases: Sequence[StepCase], share: int, factor: float) -> list[Target]:
    about = f"{share} % prompt, V = 32000"
    here = [case for case in cases if case.vocabulary == 32000]
    speeds = [
        at_least(f"a cached step, faster than {title}'s, {about}", _each(here, peer, "cached"), factor)
        for peer, (title, _) in PEERS.items()
    ]
    memory = {title: case.memory("cached", peer) for case in here for peer, (title, _) in PEERS.items()}
    return [*speeds, at_most(f"peak memory beside theirs, {about}", memory, 0.6)]


def _each(cases: Iterable[StepCase], one: str, other: str) -> dict[str, float | None]:
    return {case.about: case.slower(one, other) for case in cases}


def _of_runs(rows: list[Row]) -> list[Target]:
    found = []
    floors = {
        ("td cached", ""): floor_ratio,
        ("scd_aw cached", " with divergences"): floor_ratio,
        ("scd_aw cached", " without divergences"): narrow_floor_ratio,
    }
    for (name, which), ratio in floors.items():
        row = run_named(rows, name)
        value = {"": None if row is None else ratio(row)}
        found.append(at_most(f"a whole run beside its floor{which}, {name}", value, 1.15))
    for name, factor, about in (("td cached", 3.5, "one checkpoint"), ("cd cached", 2.0, "four distinct checkpoints")):
        for peer, (title, _) in PEERS.items():
            value = {"": run_ratio(rows, peer, name)}
            found.append(at_least(f"a whole run, faster than {title}'s, {name} ({about})", value, factor))
    return [*found, *_of_loads(rows)]


def _of_loads(rows: list[Row]) -> list[Target]:
    row = run_named(rows, "scd_aw cached")
    allowed = 0 if row is None else row["plan"]["checkpoints"] + row["distinct"]
    loads = {"": None if row is None else float(row["teacher_loads"])}
    cached = [each for each in rows if each["name"].endswith("cached")]
    within = {each["name"]: float(each["within_epochs"]["loads"]) for each in cached}
    return [
        at_most("loads of teacher weights, scd_aw: N + distinct ones", loads, allowed, "{:.0f}"),
        at_most("loads of teacher weights while a cached student trains", within, 0, "{:.0f}"),
    ]


def _of_reload(rows: list[Row]) -> list[Target]:
    large = {row["model"]: speed(row, "load") / copy_speed(row) for row in rows if row["model"] != "tiny"}
    return [at_least("reloading weights beside copying them, copy_ or memcpy", large, 0.7)]


def _of_startup(rows: list[Row]) -> list[Target]:
    idle = {row["command"]: row["seconds"]["median"] for row in rows if "all phases" in row["command"]}
    refused = {row["command"]: row["seconds"]["median"] for row in rows if row["command"].endswith(", refused")}
    answered = [at_most("run.py with a wrong number, name or path", refused, 1.5, "{:.1f} s")] if refused else []
    return [at_most("run.py where nothing is to be done", idle, 10, "{:.1f} s"), *answered]


def _of_processes(rows: list[Row]) -> list[Target]:
    speeds = {row["model"]: relative_speed(row, rows) for row in rows if row["way"].startswith("two")}
    return [at_least("two processes on the CPU beside one with two threads, speed of a step", speeds, 0.9)]


def _of_saving(rows: list[Row]) -> list[Target]:
    shares = {row["model"]: 100 * saving_share(row) for row in rows}
    return [at_most("saving the state of a training, of the phase's time", shares, 2, "{:.2f} %")]


def _of_gold(rows: list[Row]) -> list[Target]:
    return [at_most("checking gold answers beside encoding them", {row["task"]: check_ratio(row) for row in rows}, 1)]


def _of_candidates(rows: list[Row]) -> list[Target]:
    # A few short labels leave little to leave out.
    tokens = {row["name"]: search_ratio(row, "tokens") for row in rows if row["candidates"] >= 50}
    different = {row["name"]: float(row["different"]) for row in rows}
    return [
        at_least("tokens that losses and answers among 50 labels or more are spared", tokens, 8),
        at_most("answers that scoring each candidate would change", different, 0, "{:.0f}"),
    ]


def _of_texts(rows: list[Row]) -> list[Target]:
    found = {row["name"]: text_ratios(row) for row in rows}
    ways = {"generate": "transformers", "decode": "our own decoding"}
    answer = {ways[way]: ratio for way, ratio in found.get("answer", {}).items()}
    return [
        at_most(
            "a distillation step on texts without labels beside one on rows with labels", found.get("step", {}), 1.05
        ),
        at_most("the phase answer beside bare batched generation of the same texts", answer, 1.2),
    ]


def _of_predicting(rows: list[Row]) -> list[Target]:
    ratios = {row["task"]: asking_ratio(row, "seconds") for row in rows}
    return [at_least("rows a second of scd predict beside an evaluation's, with its token ids", ratios, 0.9)]


def _of_serving(rows: list[Row]) -> list[Target]:
    ends = {row["name"]: float(row["lost"]) for row in rows if row["way"] == "SIGTERM"}
    failed = {f"{row['name']}, {row['way']}": float(row["errors"] + row["lost"]) for row in loaded(rows)}
    faster = {row["name"]: batching_ratio(row, rows) for row in loaded(rows) if row["way"] == "64 clients"}
    return [
        at_most("requests that a server under load fails", failed, 0, "{:.0f}"),
        at_most("requests that a server loses at SIGTERM", ends, 0, "{:.0f}"),
        at_least("texts a second of 64 clients beside one client's", faster, 2),
    ]
