"""Steps: ours beside a bare loop, other frameworks and the floor of the work, over prompt shares and vocabularies."""

import itertools
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.floor import gemm_operations
from benchmarks.referee import Report, interleaved
from benchmarks.rows import StepCase, spread
from benchmarks.settings import PEERS, Settings
from benchmarks.workload import Case, Shape
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.store.checkpoints import CheckpointStore

WARM_UP = 1
COMPARED_LOSSES = 10
UNITS = ("seconds", "cpu_seconds")
FINE_TUNING, DISTILLATION = ("bare", "sft"), ("cached", "live", "trl", "modelopt")
EVERYONE = (*FINE_TUNING, *DISTILLATION)

_SMALL = (Shape(256, 4, 4, 4, 704), Shape(512, 8, 8, 8, 1408))
_SMOLLM2 = Shape(576, 30, 9, 3, 1536)
# The shape of Llama-3.2-1B, and half as wide with three quarters of the layers.
_1B, _300M = Shape(2048, 16, 32, 8, 8192), Shape(1024, 12, 16, 8, 4096)

SMALL_CASE = Case("small", 32000, 96, 32, 8, 11, *_SMALL)

# Prompt and completion tokens: 75, 25 and 97 % prompt; the first is what a quick run takes.
_SHARES = ((96, 32), (32, 96), (124, 4))

# A case and who takes part.
Plan = list[tuple[Case, tuple[str, ...]]]


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Measures all cases, and gives each one's row as soon as it is done; see `row` for what that holds.

    Args:
        settings: The settings.
    """
    plan = _plan(settings)
    for number, (case, names) in enumerate(plan, start=1):
        start = time.perf_counter()
        try:
            made = row(case, run_contenders(settings, case, names))
        except RuntimeError as error:
            if not settings.keep_going:
                raise
            print(f"{number} of {len(plan)}: {case.name} failed: {error}", file=sys.stderr, flush=True)
            continue
        took = time.perf_counter() - start
        told = f"{_in_short(StepCase(made))} ({took:.0f} s)"
        print(f"{number} of {len(plan)}: {case.name}: {told}", file=sys.stderr, flush=True)
        yield made


def _plan(settings: Settings) -> Plan:
    plan = _gpu_plan(settings.model) if settings.device == "cuda" else _cpu_plan()
    absent = PEERS if settings.alone else ()
    plan = [(case, tuple(name for name in names if name not in absent)) for case, names in plan]
    return [(_quick(case), names) for case, names in plan[:1]] if settings.quick else plan


def _quick(case: Case) -> Case:
    return replace(case, student=Shape(32, 2, 2, 2, 64), teacher=Shape(64, 2, 2, 2, 128), steps=4)


def _cpu_plan() -> Plan:
    student, teacher = _SMALL
    plan: Plan = []
    # At the largest vocabulary full logits of eight samples would take the peers 8 s a step and 6 GB each.
    batches = {4096: 8, 32000: 8, 128256: 4}
    for (vocab_size, batch), (prompt, completion) in itertools.product(batches.items(), _SHARES):
        name = _name("small", vocab_size, prompt, completion)
        plan.append((Case(name, vocab_size, prompt, completion, batch, 11, student, teacher), EVERYONE))
    case = Case(_name("SmolLM2", 49152, 124, 4), 49152, 124, 4, 8, 8, _SMOLLM2, _SMOLLM2)
    return [*plan, (case, ("bare", "sft", "cached"))]


def _gpu_plan(model: Path | None) -> Plan:
    """A pair of SmolLM2's shape, cut as the model is; and a large one with random weights: 75 and 97 % prompt."""
    teacher = _SMOLLM2 if model is None else replace(_SMOLLM2, layers=_layers(model))
    half = replace(teacher, layers=teacher.layers // 2)
    pairs = {
        f"SmolLM2's {teacher.layers} to {half.layers} layers": (49152, half, teacher, _SHARES[:1]),
        "1B to 0.3B": (128256, _300M, _1B, (_SHARES[0], _SHARES[2])),
    }
    plan: Plan = []
    for pair, (vocab_size, student, teacher, shares) in pairs.items():
        for prompt, completion in ((4 * p, 4 * c) for p, c in shares):
            name = _name(pair, vocab_size, prompt, completion)
            case = Case(name, vocab_size, prompt, completion, 8, 21, student, teacher, dtype="bfloat16")
            plan.append((case, EVERYONE))
    return plan


def _layers(model: Path) -> int:
    # The package of GGUF files is an extra, which no other benchmark needs.
    from gguf import GGUFReader

    fields = GGUFReader(model).fields
    return int(fields[f"{fields['general.architecture'].contents()}.block_count"].contents())


def _name(pair: str, vocab_size: int, prompt: int, completion: int) -> str:
    return f"{pair}, V {vocab_size}, {prompt} + {completion} tokens"


def run_contenders(settings: Settings, case: Case, names: Sequence[str]) -> dict[str, list[Report]]:
    """Runs a case's contenders: interleaved, or one after another where they share a GPU's memory.

    Args:
        settings: The settings.
        case: The case.
        names: The contenders; the floor's parts are measured with them.

    Returns:
        What `row` takes.
    """
    return take_turns(settings, case, (*names, "floor"))


def take_turns(settings: Settings, case: Case, names: Sequence[str]) -> dict[str, list[Report]]:
    """Has contenders of any kind make a case's steps, as `run_contenders` says; returns the reports of each."""
    folder = workload.make(case, settings.folder / "steps")
    _write_trajectory(case, folder)
    turns = [[name] for name in names] if settings.device == "cuda" else [list(names)]
    reports: dict[str, list[Report]] = {}
    for together in turns:
        reports |= interleaved(settings, together, folder, case.steps)
    shutil.rmtree(folder)
    return reports


def _write_trajectory(case: Case, folder: Path) -> None:
    """The teacher as a trajectory of one checkpoint, made here so that no contender's memory remembers it."""
    teacher = CausalLM(workload.load(folder, "teacher", "cpu"), case.vocab_size)
    CheckpointStore(folder / "trajectory").save(teacher, 1, {})


def row(case: Case, reports: dict[str, list[Report]]) -> dict[str, Any]:
    """What a case's reports come to, without its first step.

    Args:
        case: The case.
        reports: Contender -> its steps' reports; "floor" -> reports whose "parts" were measured alone.

    Returns:
        The case's fields, with "case" for its name, and
        contenders: name -> seconds and cpu_seconds of a step ({median, min, max}), tokens_per_second, peak_bytes,
            losses (the first ten), operations (floating-point, of the work that has to be done, prompts' logits not
            among it), utilisation (of the speed of the machine's own matrix product);
        parts: head, vocabulary_pass and gemm -> seconds and cpu_seconds;
        floor: seconds and cpu_seconds of our SFT step + head + vocabulary_pass;
        largest_loss_difference: fine_tuning and distillation -> of any two contenders' first ten losses, or None.
    """
    parts = {
        name: {unit: spread([r["parts"][name][unit] for r in reports["floor"][WARM_UP:]]) for unit in UNITS}
        for name in reports["floor"][0]["parts"]
    }
    speed = gemm_operations(reports["floor"][0]["gemm_size"]) / parts["gemm"]["seconds"]["median"]
    contenders = {name: _contender(case, name, of, speed) for name, of in reports.items() if name != "floor"}
    floor = {
        unit: sum(part[unit]["median"] for part in (contenders["sft"], parts["head"], parts["vocabulary_pass"]))
        for unit in UNITS
    }
    fields = asdict(case)
    return {
        "case": fields.pop("name"),
        **fields,
        "contenders": contenders,
        "parts": parts,
        "floor": floor,
        "largest_loss_difference": {
            "fine_tuning": _largest_difference([contenders[name] for name in FINE_TUNING if name in contenders]),
            "distillation": _largest_difference([contenders[name] for name in DISTILLATION if name in contenders]),
        },
    }


def _contender(case: Case, name: str, reports: Sequence[Report], speed: float) -> dict[str, Any]:
    times = {unit: spread([report[unit] for report in reports[WARM_UP:]]) for unit in UNITS}
    median = times["seconds"]["median"]
    work = operations(case, name)
    return {
        **times,
        "tokens_per_second": case.tokens / median,
        "peak_bytes": reports[-1]["peak_bytes"],
        "losses": [report["loss"] for report in reports[:COMPARED_LOSSES]],
        "operations": work,
        "utilisation": work / median / speed,
    }


def operations(case: Case, name: str) -> int:
    """Floating-point operations of a step's matrix products with weights, heads on completion tokens alone.

    Args:
        case: The case.
        name: The contender: only where the teacher is live does its body count.
    """
    student, teacher = case.student, case.teacher
    head = case.completion_tokens * case.vocab_size
    # Forward 2, backward 4 for each weight and token.
    total = 6 * (student.body_parameters() * case.tokens + student.hidden * head)
    if name in DISTILLATION:
        total += 2 * teacher.hidden * head
    if name in DISTILLATION and name != "cached":
        total += 2 * teacher.body_parameters() * case.tokens
    return total


def _largest_difference(contenders: Sequence[dict[str, Any]]) -> float | None:
    if len(contenders) < 2:
        return None
    return max(max(step) - min(step) for step in zip(*(each["losses"] for each in contenders), strict=True))


def _in_short(case: StepCase) -> str:
    pairs = (("sft", "bare"), ("cached", "sft"), ("cached", "floor"), ("trl", "cached"), ("modelopt", "cached"))
    ratios = {f"{one}/{other}": case.slower(one, other) for one, other in pairs}
    return ", ".join(f"{pair} {ratio:.2f}" for pair, ratio in ratios.items() if ratio is not None)
