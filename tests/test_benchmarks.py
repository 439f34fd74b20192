"""The benchmarks' arithmetic and their page, from rows written by hand; nothing is timed here."""

import json
import re

import pytest
import torch

from benchmarks import cells, page, targets
from benchmarks.__main__ import main
from benchmarks.jobs import Plan
from benchmarks.rows import StepCase, floor_ratio, narrow_floor_ratio
from benchmarks.runs import run_floor

MACHINE = {
    "device": "cpu",
    "cpu": "Abacus 9",
    "cores": 2,
    "threads": 2,
    "memory_gb": 16.0,
    "gpu": None,
    "os": "Linux x86_64",
    "python": "3.11.7",
}
SHAPE = {"hidden": 256, "layers": 4}


def spread(value):
    return {"median": value, "min": value * 0.9, "max": value * 1.2}


def contender(seconds, peak):
    return {
        "seconds": spread(seconds),
        "cpu_seconds": spread(2 * seconds),
        "tokens_per_second": 1024 / seconds,
        "peak_bytes": peak,
        "losses": [9.5],
        "operations": 1,
        "utilisation": 0.25,
    }


def step_row(prompt, vocabulary, seconds, floor, *, student=SHAPE, difference=2e-6):
    """A row of `steps` whose contenders take these seconds; each has 100 MB at its peak for a second of a step."""
    return {
        "case": f"V {vocabulary}, {prompt} + {128 - prompt} tokens",
        "vocab_size": vocabulary,
        "prompt": prompt,
        "completion": 128 - prompt,
        "batch": 8,
        "steps": 11,
        "student": student,
        "teacher": {"hidden": 512, "layers": 8},
        "dtype": "float32",
        "contenders": {name: contender(value, int(value * 1e8)) for name, value in seconds.items()},
        "parts": {
            name: {"seconds": spread(seconds), "cpu_seconds": spread(2 * seconds)}
            for name, seconds in {"head": 0.08, "vocabulary_pass": 0.02, "gemm": 0.0625}.items()
        },
        "floor": {"seconds": floor, "cpu_seconds": 2 * floor},
        "largest_loss_difference": {"fine_tuning": None, "distillation": difference},
    }


STEPS = [
    step_row(96, 32000, {"bare": 1.0, "sft": 1.1, "cached": 1.3, "live": 2.6, "trl": 6.5, "modelopt": 5.2}, 1.2),
    step_row(124, 32000, {"bare": 1.0, "sft": 1.0, "cached": 1.05, "live": 2.1, "trl": 6.0, "modelopt": 8.4}, 1.0),
    step_row(124, 49152, {"sft": 4.0, "cached": 4.1}, 4.05, student={"hidden": 576, "layers": 30}),
]
PARTS = {
    name: {"seconds": seconds, "cpu_seconds": 2 * seconds}
    for name, seconds in {
        "sft_step": 0.1,
        "head": 0.02,
        "vocabulary_pass": 0.005,
        "teacher_samples": 2.0,
        "teacher_probe": 0.5,
        "student_probe": 0.25,
        "probe_head": 0.04,
        "probe_vocabulary_pass": 0.01,
    }.items()
}


SIZES = {"samples": 64, "prompt": 96, "completion": 32, "vocab_size": 32000, "batch": 8}
CASE = SIZES | {"student": SHAPE, "teacher": SHAPE}


def run_row(method, teacher, seconds, floor, *, distinct, loads):
    return {
        "name": f"{method} {teacher}",
        "plan": {"method": method, "stages": 4, "checkpoints": 4},
        "case": CASE,
        "seconds": seconds,
        "cpu_seconds": 2 * seconds,
        "peak_memory_bytes": 900_000_000,
        "steps": 64,
        "distinct": distinct,
        "teacher_loads": loads,
        "teacher_forward_samples": 64 * distinct,
        "phases": {"start": 0.0, "teacher": 4.0, "steps": 16.0, "validation": 0.5},
        "within_epochs": {"loads": 0, "forward_samples": 0},
        "floor": {"seconds": floor, "cpu_seconds": 2 * floor},
        "floor_ratios": [seconds / floor] * 3,
        "repeats": 3,
        "parts": PARTS,
    }


def peer_row(name, seconds):
    return {"name": name, "seconds": seconds, "cpu_seconds": seconds, "peak_memory_bytes": 2 * 10**9, "steps": 64}


RUNS = [
    run_row("td", "cached", 11.0, 10.0, distinct=1, loads=1),
    run_row("scd_aw", "cached", 18.0, 15.0, distinct=2, loads=6),
    run_row("cd", "cached", 20.0, 16.0, distinct=4, loads=4),
    peer_row("trl", 44.0),
    peer_row("modelopt", 33.0),
]
PHASES = {"phases": RUNS[0]["phases"], "case": CASE}
GROWTH = [
    {"N": n, "T": t, "S": 64, "V": 8000, "teacher": teacher, "cpu_seconds": seconds} | PHASES
    for n, t in ((2, 2), (4, 2), (8, 2), (4, 1), (4, 4))
    for teacher, seconds in (("cached", 20.0 + n), ("live", 60.0 + 2 * n))
]
RELOAD = [
    {
        "model": model,
        "bytes": 500_000_000,
        "rounds": 3,
        "first_seconds": 0.3,
        "seconds": {"load": spread(load), "copy": spread(0.06), "memcpy": spread(0.04)},
    }
    for model, load in (("135M", 0.08), ("tiny", 0.6))
]
STARTUP = [
    {"command": "python run.py teacher.epochs=1, all phases in the store", "rounds": 3, "seconds": spread(8.25)},
    {"command": "python run.py --help", "rounds": 3, "seconds": spread(0.5)},
]
PROCESSES = [
    {"model": model, "way": way, "rounds": 3, "seconds": spread(seconds)}
    for model, ways in (("tiny", (0.1, 0.08)), ("wide", (0.8, 1.0)))
    for way, seconds in zip(("one process, 2 threads", "two processes, 1 thread each"), ways, strict=True)
]
SAVING = [
    {"model": "tiny", "seconds": 100.0, "saves": 4, "save_seconds": 0.5},
    {"model": "106M", "seconds": 400.0, "saves": 2, "save_seconds": 6.0},
]
TEXTS = [
    {
        "name": "step",
        "case": CASE,
        **{clock: {"cached": spread(0.5), "texts": spread(0.53)} for clock in ("seconds", "cpu_seconds")},
        "losses_apart": 0.0,
    },
    {
        "name": "answer",
        **{
            clock: {"phase": spread(2.2), "validation": spread(0.4), "generate": spread(2.5), "decode": spread(2.0)}
            for clock in ("seconds", "cpu_seconds")
        },
        **{"texts": 1500, "validation": 200, "rounds": 3, "equal": 0.9987},
    },
]

GOLD = [
    {
        "task": task,
        "rows": 10_000,
        "rounds": 3,
        **{clock: {"encode": spread(2.0), "check": spread(check)} for clock in ("seconds", "cpu_seconds")},
    }
    for task, check in (("ner", 1.5), ("qa", 0.1))
]
CANDIDATES = [
    {
        "name": name,
        **{clock: {way: spread(value) for way, value in times.items()} for clock in ("seconds", "cpu_seconds")},
        **{"tokens": tokens, "samples": 400, "candidates": candidates, "parameters": 710_640, "rounds": 3},
        **{"right": 0.635, "different": 0, "losses_apart": 0.0},
    }
    for name, candidates, times, tokens in (
        (
            "embedded",
            15,
            {"search": 1.0, "probabilities": 2.0, "exhaustive": 4.0},
            {"search": 12_000, "probabilities": 18_000, "exhaustive": 46_000},
        ),
        (
            "banking77",
            77,
            {"search": 2.0, "probabilities": 5.0, "exhaustive": 19.0},
            {"search": 20_000, "probabilities": 40_000, "exhaustive": 210_000},
        ),
    )
]
PREDICTING = [
    {
        "task": "ner",
        **{
            clock: {"encode": spread(1.0), "evaluate": spread(3.0), "predict": spread(2.0)}
            for clock in ("seconds", "cpu_seconds")
        },
        **{"samples": 2000, "rounds": 3, "different": 1},
    }
]
SERVING = [
    *(
        {
            "name": name,
            "way": way,
            **{"clients": clients, "requests": texts, "texts": texts, "seconds": 10.0},
            "latency": {"p50": clients / texts * 10, "p99": clients / texts * 20, "max": 1.0},
            **{"errors": 0, "lost": lost, "refused": 0},
        }
        for name, way, clients, texts, lost in (
            ("classification", "one client, one text at a time", 1, 500, 0),
            ("classification", "64 clients", 64, 2000, 0),
            ("ner", "one client, one text at a time", 1, 400, 0),
            ("ner", "64 clients", 64, 600, 1),
        )
    ),
    {
        **{"name": "ner", "way": "SIGTERM", "clients": 64, "rounds": 3, "requests": 4321},
        **{"errors": 0, "lost": 2, "refused": 192, "codes": [0, 0, 1]},
    },
    {
        **{"name": "classification", "way": "greedy", "texts": 200, "different": 30, "no_label": 25},
        **{"chosen": 0.75, "greedy": 0.7},
    },
]


@pytest.fixture
def sections():
    rows = {"steps": STEPS, "runs": RUNS, "growth": GROWTH, "reload": RELOAD, "startup": STARTUP}
    rows |= {"processes": PROCESSES, "saving": SAVING, "texts": TEXTS, "gold": GOLD, "candidates": CANDIDATES}
    rows |= {"predicting": PREDICTING, "serving": SERVING}
    common = {"machine": MACHINE, "versions": {"torch": "2.13.0", "trl": "1.16.0"}, "took_seconds": 96.0}
    return {name: common | {"rows": each} for name, each in rows.items()}


def found(sections, beginning):
    (target,) = (each for each in targets.targets(sections) if each.what.startswith(beginning))
    return target


@pytest.mark.parametrize(
    ("beginning", "measured", "reached"),
    [
        ("a cached step beside its floor", "1.08 x (75 % prompt, V = 32000)", True),
        ("a cached step beside fine-tuning", "1.02 x", True),
        ("a cached step, faster than TRL's, 75 %", "5.00 x", True),
        ("a cached step, faster than ModelOpt's, 75 %", "4.00 x", True),
        ("a cached step, faster than TRL's, 97 %", "5.71 x", False),
        ("a cached step, faster than ModelOpt's, 97 %", "8.00 x", True),
        ("peak memory beside theirs, 75 %", "0.25 x (ModelOpt)", True),
        ("our fine-tuning step", "1.10 x (75 % prompt, V = 32000)", True),
        ("losses of the first", "2e-06 (75 % prompt, V = 32000)", True),
        ("a whole run beside its floor, td", "1.10 x", True),
        ("a whole run beside its floor with divergences, scd_aw", "1.20 x", False),
        # 16 divergences of 0.04 + 0.01 s less: 18 / (15 - 0.8).
        ("a whole run beside its floor without divergences, scd_aw", "1.27 x", False),
        ("a whole run, faster than TRL's, td", "4.00 x", True),
        ("a whole run, faster than ModelOpt's, td", "3.00 x", False),
        ("a whole run, faster than ModelOpt's, cd", "1.65 x", False),
        ("loads of teacher weights, scd_aw", "6", True),
        ("loads of teacher weights while", "0 (td cached)", True),
        ("reloading weights", "0.50 x", False),
        ("two processes on the CPU", "0.80 x (wide)", False),
        ("saving the state", "1.50 % (106M)", True),
        ("a distillation step on texts", "1.06 x", False),
        ("the phase answer", "1.10 x (our own decoding)", True),
        ("checking gold answers", "0.75 x (ner)", True),
        ("tokens that losses and answers", "10.50 x", True),
        ("answers that scoring each candidate", "0 (embedded)", True),
        ("run.py where nothing", "8.2 s", True),
        ("requests that a server under load fails", "1 (ner, 64 clients)", False),
        ("requests that a server loses at SIGTERM", "2", False),
        ("texts a second of 64 clients", "1.50 x (ner)", False),
    ],
)
def test_targets_are_told_from_the_rows(sections, beginning, measured, reached):
    target = found(sections, beginning)
    assert (target.measured, target.reached) == (measured, reached)


def test_a_target_says_its_limit(sections):
    assert found(sections, "a cached step beside its floor").limit == "at most 1.10 x"
    assert found(sections, "a cached step, faster than TRL's, 97 %").limit == "at least 6.00 x"


def test_reloading_is_held_against_the_faster_way_to_copy(sections):
    seconds = {"load": spread(0.08), "copy": spread(0.02), "memcpy": spread(0.04)}
    sections["reload"]["rows"] = [RELOAD[0] | {"seconds": seconds}]
    assert found(sections, "reloading weights").measured == "0.25 x"


def test_a_teacher_that_is_loaded_too_often_shows(sections):
    sections["runs"]["rows"] = [RUNS[1] | {"teacher_loads": 7, "within_epochs": {"loads": 1, "forward_samples": 8}}]
    assert found(sections, "loads of teacher weights, scd_aw").reached is False
    assert found(sections, "loads of teacher weights while").reached is False


def test_losses_that_differ_show(sections):
    sections["steps"]["rows"] = [step_row(96, 32000, {"cached": 1.0}, 1.0, difference=2e-4)]
    assert found(sections, "losses of the first").reached is False


def test_what_was_not_measured_is_neither_reached_nor_missed():
    assert {(each.measured, each.reached) for each in targets.targets({})} == {("not measured", None)}


def test_ratios_of_a_step():
    case = StepCase(STEPS[0])
    assert case.share == 75
    assert case.slower("trl", "cached") == pytest.approx(5)
    assert case.slower("cached", "floor", "cpu_seconds") == pytest.approx(2.6 / 2.4)
    assert case.memory("cached", "trl") == pytest.approx(0.2)
    assert case.slower("cached", "nobody") is case.memory("cached", "nobody") is None


def test_the_floor_of_a_run_counts_probes_where_the_schedule_is_scored():
    parts = {name: part["seconds"] for name, part in PARTS.items()}
    steps = 64 * (0.1 + 0.02 + 0.005)
    assert run_floor(Plan("", "td", "cached"), 64, 1, parts) == pytest.approx(steps + 2)
    assert run_floor(Plan("", "cd", "cached"), 64, 4, parts) == pytest.approx(steps + 8)
    scored = Plan("", "scd_aw", "cached", stages=3, checkpoints=5)
    assert run_floor(scored, 64, 2, parts) == pytest.approx(steps + 4 + 5 * 0.5 + 3 * 0.25 + 15 * 0.05)
    assert floor_ratio(RUNS[0]) == narrow_floor_ratio(RUNS[0]) == pytest.approx(1.1)
    assert narrow_floor_ratio(RUNS[1], "cpu_seconds") == pytest.approx(36 / (30 - 16 * 0.1))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (0.0, "0"),
        (7, "7"),
        (12345.6, "12,346"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.1234, "0.123"),
        (2e-6, "2.0e-06"),
    ],
)
def test_numbers_are_short(value, told):
    assert cells.number(value) == told


def test_the_page_has_every_section_of_every_machine(sections, tmp_path):
    for machine, name in (("one", "Abacus 9"), ("two", "Abacus 10")):
        for section, content in sections.items():
            (tmp_path / machine).mkdir(exist_ok=True)
            content = content | {"machine": MACHINE | {"cpu": name}}
            (tmp_path / machine / f"{section}.json").write_text(json.dumps(content))
    page.write(tmp_path, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.count("\n### Targets\n") == 2
    assert "\n## Abacus 10, 2 cores" in text
    assert "torch 2.13.0, trl 1.16.0" in text
    assert "Measuring took 19 minutes" in text
    assert "64 samples of 96 + 32 tokens, V = 32,000" in text
    assert "No GPU was at hand" in text
    assert "| td cached | 11.0 | 22.0 | 900 | 1 | 64 | 1.10 | 1.10 | 1.10 | 4.00 | 3.00 |" in text
    assert "| teacher's head, alone | 0.080 | 0.072 | 0.096 | 0.160 |" in text
    assert "1,500 texts, 200 validation samples, 3 rounds; 99.9% of the texts are answered alike" in text
    assert "banking77: 400 samples with 77 candidates, 64% right; a model of 0.711 million weights; 3 rounds." in text
    assert "| search, with all probabilities | 100 | 5.25 | 5.00 | 4.50 | 6.00 | 5.00 | 3.80 | 3.80 |" in text
    assert "| bare generation by transformers | 2.50 | 2.25 | 3.00 | 2.50 | 0.88 | 0.88 |" in text
    assert "| classification: 64 clients | 200 | 4.00 | 320 | 640 | 1,000 | 2,000 | 0 | 0 |" in text
    assert "3 times: 4,321 requests answered, 0 errors, 2 lost; exit codes 0, 0, 1." in text
    assert "15.0% of 200 answers differ, 12.5% are no label; right are 70.0%, and 75.0% where" in text
    assert "| 8 | 28.0 | 4.00 | 16.0 | 0.500 | 76.0 | 2.71 |" in text


def test_tables_of_the_page_are_whole(sections):
    """Every row of a table has as many cells as its head."""
    for block in page.render({"one": sections}).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"\|", line)) for line in lines}) <= 1


def test_a_gpu_is_named_and_nothing_is_said_to_be_missing(sections):
    for content in sections.values():
        content["machine"] = MACHINE | {"device": "cuda", "gpu": "Loom 3"}
    text = page.render({"loom": sections})
    assert "\n## Loom 3\n" in text
    assert "No GPU" not in text


def test_the_commit_is_named_where_it_is_known(sections):
    sections["startup"]["commit"] = "0a1b2c3"
    assert "\nstartup: commit 0a1b2c3.\n" in page.render({"one": sections})
    for content in sections.values():
        content["commit"] = "4d5e6f7"
    assert "\ncommit 4d5e6f7.\n" in page.render({"one": sections})


def test_a_gpu_that_is_not_there_is_said_to_be_missing(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--device", "cuda", "--only", "reload"]) == 1
    assert "no GPU" in capsys.readouterr().err
