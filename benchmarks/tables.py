"""The sections' tables in Markdown."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.cells import MISSING, Cell, factor, megabytes, number, table, times
from benchmarks.growth import SERIES
from benchmarks.phases import PHASES
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
    run_ratio,
    saving_share,
    search_ratio,
    speed,
    text_ratios,
    throughput,
)
from benchmarks.settings import PEERS
from benchmarks.targets import Target


def of_targets(targets: Iterable[Target]) -> str:
    """Target, measured, reached."""
    words = {True: "yes", False: "**no**", None: MISSING}
    rows = [(target.what, target.limit, target.measured, words[target.reached]) for target in targets]
    return table(("what", "target", "measured", "reached"), rows)


_PAIRS = (
    ("sft", "bare"),
    ("cached", "sft"),
    ("cached", "floor"),
    ("live", "cached"),
    ("trl", "cached"),
    ("modelopt", "cached"),
)


def of_steps(rows: Sequence[Row]) -> str:
    """All cases' ratios, then each case's own table."""
    cases = [StepCase(row) for row in rows]
    head = ["case", *(f"{_title(one)} / {_title(other)}" for one, other in _PAIRS)]
    head += ["memory: cached / sft", "cached / TRL", "cached / ModelOpt", "losses apart"]
    ratios = [
        (
            case.row["case"],
            *(factor(case.slower(one, other)) for one, other in _PAIRS),
            *(factor(case.memory("cached", other)) for other in ("sft", "trl", "modelopt")),
            case.loss_difference,
        )
        for case in cases
    ]
    return "\n\n".join([table(head, ratios), *map(_of_case, cases)])


def _of_case(case: StepCase) -> str:
    head = ("step", "seconds", "least", "most", "CPU-seconds", "tokens/s", "peak MB", "/ sft", "/ floor", "of GEMM")
    rows: list[Sequence[Cell]] = []
    for name, of in case.contenders.items():
        beside = (factor(case.slower(name, other)) for other in ("sft", "floor"))
        share = f"{of['utilisation']:.0%}"
        rows.append((_title(name), *times(of), of["tokens_per_second"], megabytes(of["peak_bytes"]), *beside, share))
    floor = (case.step("floor"), None, None, case.step("floor", "cpu_seconds"), None, None)
    rows.append(("floor", *floor, factor(case.slower("floor", "sft")), factor(1.0), None))
    row = case.row
    rows += [(f"{_PART_TITLES[name]}, alone", *times(part), *[None] * 5) for name, part in row["parts"].items()]
    steps = f"{row['steps'] - 1} steps after the first, {row['dtype']}"
    return f"#### {row['case']}\n\n{_work(row)}; {steps}.\n\n{table(head, rows)}"


_PART_TITLES = {"head": "teacher's head", "vocabulary_pass": "vocabulary pass", "gemm": "GEMM"}


def _work(case: Row) -> str:
    """A workload's models and batch in words."""
    shapes = (f"{role} {case[role]['hidden']} wide x {case[role]['layers']} layers" for role in ("student", "teacher"))
    return f"{', '.join(shapes).capitalize()}, batch {case['batch']}"


def _title(name: str) -> str:
    return PEERS[name].title if name in PEERS else name


def of_runs(rows: Sequence[Row]) -> str:
    """Whole runs, and where their time goes."""
    head = ["run", "seconds", "CPU-seconds", "peak MB", "teacher loads", "teacher forward samples"]
    head += ["/ floor", "/ floor, CPU", "/ floor without divergences", "TRL / this", "ModelOpt / this"]
    lines = [
        (
            _title(row["name"]),
            row["seconds"],
            row["cpu_seconds"],
            megabytes(row["peak_memory_bytes"]),
            row.get("teacher_loads"),
            row.get("teacher_forward_samples"),
            *(_floor_ratios(row) if "floor" in row else [None] * 3),
            *(factor(run_ratio(rows, peer, row["name"])) for peer in PEERS),
        )
        for row in rows
    ]
    ours = [row for row in rows if "phases" in row]
    case = rows[0]["case"]
    samples = f"{case['samples']} samples of {case['prompt']} + {case['completion']} tokens, V = {case['vocab_size']:,}"
    parts = [f"{_work(case)}; {samples}.", table(head, lines), _repeats(ours), "Where our CPU-seconds go:"]
    return "\n\n".join([*parts, _of_phases(ours)])


def _floor_ratios(row: Row) -> list[str]:
    return [factor(ratio) for ratio in (floor_ratio(row), floor_ratio(row, "cpu_seconds"), narrow_floor_ratio(row))]


def _repeats(ours: Sequence[Row]) -> str:
    told = [f"{row['name']} {', '.join(map(factor, row['floor_ratios']))}" for row in ours if row["repeats"] > 1]
    return f"Runs that were repeated, each time beside the floor measured in the same process: {'; '.join(told)}."


def _of_phases(ours: Sequence[Row]) -> str:
    head = ["run", *map(_phase_title, PHASES), "the rest", "floor: steps", "signals", "probes"]
    return table(head, [(row["name"], *_phases(row), *_floor_parts(row)) for row in ours])


def _phase_title(phase: str) -> str:
    return "schedule, probes, signals" if phase == "teacher" else phase


def _phases(row: Row) -> list[float]:
    phases = [row["phases"][phase] for phase in PHASES]
    return [*phases, row["cpu_seconds"] - sum(phases)]


def _floor_parts(row: Row) -> tuple[float, float, float]:
    parts = {name: part["cpu_seconds"] for name, part in row["parts"].items()}
    steps = row["steps"] * (parts["sft_step"] + parts["head"] + parts["vocabulary_pass"])
    signals = row["distinct"] * parts["teacher_samples"]
    return steps, signals, max(0.0, row["floor"]["cpu_seconds"] - steps - signals)


def of_growth(rows: Sequence[Row]) -> str:
    """A table for each letter, with the others at their middle."""
    case = rows[0]["case"]
    samples = f"samples of {case['prompt']} + {case['completion']} tokens"
    return "\n\n".join([f"{_work(case)}; {samples}.", *(_of_letter(rows, letter) for letter in SERIES)])


def _of_letter(rows: Sequence[Row], letter: str) -> str:
    others = [name for name in SERIES if name != letter]
    base = {name: _most_frequent(row[name] for row in rows) for name in others}
    here = [row for row in rows if all(row[name] == base[name] for name in others)]
    cached = sorted((row for row in here if row["teacher"] == "cached"), key=lambda row: int(row[letter]))
    live = {row[letter]: row["cpu_seconds"] for row in here if row["teacher"] == "live"}
    head = (letter, "cached", *(f"of it {_phase_title(phase)}" for phase in PHASES[1:]), "live", "live / cached")
    lines = [
        (
            f"{row[letter]:,}",
            row["cpu_seconds"],
            *(row["phases"][phase] for phase in PHASES[1:]),
            live[row[letter]],
            factor(live[row[letter]] / row["cpu_seconds"]),
        )
        for row in cached
    ]
    fixed = ", ".join(f"{name} = {value:,}" for name, value in base.items())
    return f"{letter} grows, {fixed}; CPU-seconds:\n\n{table(head, lines)}"


def _most_frequent(values: Iterable[int]) -> int:
    found = list(values)
    return max(found, key=found.count)


def of_reload(rows: Sequence[Row]) -> str:
    """GB/s of loading, copying and memcpy."""
    head = ("model", "MB", "load ms", "load GB/s", "copy_ GB/s", "memcpy GB/s", "load / faster copy", "first load ms")
    return table(head, map(_of_model, rows))


def _of_model(row: Row) -> Sequence[Cell]:
    rates = [speed(row, way) for way in ("load", "copy", "memcpy")]
    milliseconds = 1000 * row["seconds"]["load"]["median"]
    size = number(row["bytes"] / 1e6)
    return (row["model"], size, milliseconds, *rates, factor(rates[0] / copy_speed(row)), 1000 * row["first_seconds"])


def of_startup(rows: Sequence[Row]) -> str:
    """Seconds of commands."""
    head = ("command", "seconds", "least", "most", "times")
    return table(
        head, [(row["command"], *map(row["seconds"].get, ("median", "min", "max")), row["rounds"]) for row in rows]
    )


def of_processes(rows: Sequence[Row]) -> str:
    """Seconds a step of each way, and the speed beside one process."""
    head = ("model", "way", "s a step", "least", "most", "rounds", "speed beside one process")
    return table(head, [_of_way(row, rows) for row in rows])


def _of_way(row: Row, rows: Sequence[Row]) -> Sequence[Cell]:
    spread = (row["seconds"][name] for name in ("median", "min", "max"))
    return (row["model"], row["way"], *spread, row["rounds"], factor(relative_speed(row, rows)))


def of_saving(rows: Sequence[Row]) -> str:
    """What share of a phase's time went into saving its states."""
    head = ("model", "s of the phase", "saves", "s of saving", "share")
    return table(
        head,
        [
            (row["model"], row["seconds"], row["saves"], row["save_seconds"], f"{100 * saving_share(row):.2f} %")
            for row in rows
        ],
    )


_WHAT = {
    ("step", "cached"): "a step on rows with labels",
    ("step", "texts"): "a step on texts without",
    ("answer", "phase"): "the phase answer, validation apart",
    ("answer", "validation"): "its validation split",
    ("answer", "generate"): "bare generation by transformers",
    ("answer", "decode"): "bare generation by our own decoding",
}


def of_texts(rows: Sequence[Row]) -> str:
    """Seconds of what texts take and of what that is held against; ratios stand with the latter."""
    head = ("what", "seconds", "least", "most", "CPU-seconds", "texts / this", "texts / this, CPU")
    step, answer = rows
    told = f"{_work(step['case'])}, V = {step['case']['vocab_size']:,}; losses {step['losses_apart']:.1g} apart."
    phase = f"{answer['texts']:,} texts, {answer['validation']} validation samples, {answer['rounds']} rounds; "
    told += f" {phase}{answer['equal']:.1%} of the texts are answered alike by the phase and by transformers."
    return f"{told}\n\n{table(head, [_of_text_times(row, name) for row in rows for name in row['seconds']])}"


def _of_text_times(row: Row, name: str) -> Sequence[Cell]:
    taken = {clock: row[clock][name] for clock in ("seconds", "cpu_seconds")}
    ratios = (factor(text_ratios(row, clock).get(name)) for clock in taken)
    return (_WHAT[row["name"], name], *times(taken), *ratios)


def of_gold(rows: Sequence[Row]) -> str:
    """Seconds of checking gold answers, and of encoding their rows."""
    head = ("task", "rows", "what", "seconds", "least", "most", "CPU-seconds", "check / encode", "check / encode, CPU")
    return table(head, [_of_gold_times(row, what) for row in rows for what in row["seconds"]])


def _of_gold_times(row: Row, what: str) -> Sequence[Cell]:
    taken = times({clock: row[clock][what] for clock in ("seconds", "cpu_seconds")})
    ratios = (factor(check_ratio(row, clock) if what == "check" else None) for clock in ("seconds", "cpu_seconds"))
    return (row["task"], row["rows"], what, *taken, *ratios)


_SEARCHES = {
    "search": "search",
    "probabilities": "search, with all probabilities",
    "exhaustive": "each candidate scored, losses apart",
}


def of_candidates(rows: Sequence[Row]) -> str:
    """Tokens and seconds of losses and answers, by each way."""
    head = ("what", "tokens / sample", "fewer", "seconds", "least", "most", "CPU-seconds", "faster", "faster, CPU")
    parts = []
    for row in rows:
        told = (
            f"{row['name']}: {row['samples']} samples with {row['candidates']} candidates, {row['right']:.0%} right; "
        )
        told += f"a model of {number(row['parameters'] / 1e6)} million weights; {row['rounds']} rounds. "
        told += f"Other answers: {row['different']}; losses at most {number(row['losses_apart'])} apart."
        parts.append(f"{told}\n\n{table(head, [_of_search(row, way) for way in _SEARCHES])}")
    return "\n\n".join(parts)


def _of_search(row: Row, way: str) -> Sequence[Cell]:
    taken = times({clock: row[clock][way] for clock in ("seconds", "cpu_seconds")})
    tokens, *faster = (factor(search_ratio(row, what, way)) for what in ("tokens", "seconds", "cpu_seconds"))
    return (_SEARCHES[way], row["tokens"][way] / row["samples"], tokens, *taken, *faster)


def of_pipeline(rows: Sequence[Row]) -> str:
    """What each command took and came to, phase by phase, and what failed."""
    head = ["command", "seconds", "teacher s", "anchor s", "student s", "tokens/s of the teacher", "peak MB"]
    head += ["metric", "teacher", "anchor", "student", "losses apart", "from"]
    return table(head, [_of_command(row) for row in rows])


def _of_command(row: Row) -> Sequence[Cell]:
    if row["error"]:
        return (row["name"], "**failed**", *[None] * 11)
    phases = row["phases"]
    seconds = (phases.get(phase, {}).get("seconds") for phase in ("teacher_sft", "student_sft", "distill"))
    speed = phases.get("teacher_sft", {}).get("tokens_per_second")
    memory = megabytes(max(phase["peak_memory_bytes"] for phase in phases.values())) if phases else None
    scores = (f"{row['scores'][model]:.3f}" for model in ("teacher", "anchor", "student"))
    apart = None if row["apart"] is None else max(row["apart"].values())
    return (row["name"], row["seconds"], *seconds, speed, memory, row["metric"], *scores, apart, row["beside"])


def of_predicting(rows: Sequence[Row]) -> str:
    """Samples a second of each way."""
    head = (
        "task",
        "what",
        "samples / s",
        "seconds",
        "least",
        "most",
        "CPU-seconds",
        "beside both others",
        "CPU",
        "other answers",
    )
    return table(head, [_of_asking(row, way) for row in rows for way in ("encode", "evaluate", "predict")])


def _of_asking(row: Row, way: str) -> Sequence[Cell]:
    taken = {clock: row[clock][way] for clock in ("seconds", "cpu_seconds")}
    ratios = (factor(asking_ratio(row, clock) if way == "predict" else None) for clock in taken)
    different = row["different"] if way == "predict" else None
    return (row["task"], way, row["samples"] / taken["seconds"]["median"], *times(taken), *ratios, different)


def of_serving(rows: Sequence[Row]) -> str:
    """Throughput and waiting times of each way to load a server; its end; and greedy decoding in words."""
    head = (
        "student, way",
        "texts / s",
        "beside one by one",
        "p50 ms",
        "p99 ms",
        "most ms",
        "requests",
        "errors",
        "lost",
    )
    parts = [table(head, [_of_load(row, rows) for row in loaded(rows)])]
    for row in rows:
        if row["way"] == "SIGTERM":
            told = f"{row['name']}, SIGTERM under {row['clients']} clients, {row['rounds']} times: {row['requests']:,} "
            told += f"requests answered, {row['errors']} errors, {row['lost']} lost; exit codes "
            told += f"{', '.join(map(str, row['codes']))}."
            parts.append(told)
        if row["way"] == "greedy":
            told = f"{row['name']}, the same weights decoded greedily: {row['different'] / row['texts']:.1%} of "
            told += f"{row['texts']} answers differ, {row['no_label'] / row['texts']:.1%} are no label; right are "
            parts.append(f"{told}{row['greedy']:.1%}, and {row['chosen']:.1%} where the student chooses.")
    return "\n\n".join(parts)


def _of_load(row: Row, rows: Sequence[Row]) -> Sequence[Cell]:
    latency = (1000 * row["latency"][name] for name in ("p50", "p99", "max"))
    ratio = factor(batching_ratio(row, rows))
    failures = (row["errors"], row["lost"])
    return (f"{row['name']}: {row['way']}", throughput(row), ratio, *latency, row["requests"], *failures)


TABLES: dict[str, Callable[[Sequence[Row]], str]] = {
    "pipeline": of_pipeline,
    "steps": of_steps,
    "runs": of_runs,
    "growth": of_growth,
    "reload": of_reload,
    "startup": of_startup,
    "processes": of_processes,
    "saving": of_saving,
    "texts": of_texts,
    "gold": of_gold,
    "candidates": of_candidates,
    "predicting": of_predicting,
    "serving": of_serving,
}
