"""student/README.md: the model card, from the files in a run's folder alone."""

import ast
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

from scd_lightning.analysis.pages import environment
from scd_lightning.analysis.records import (
    MODEL_NAMES,
    PLAIN,
    RunRecord,
    data_name,
    evaluated_split,
    metric_names,
    read_json,
)
from scd_lightning.analysis.run.intervals import RunIntervals
from scd_lightning.analysis.run.run_warnings import exported_otherwise
from scd_lightning.analysis.standing import bounds
from scd_lightning.store.manifest import write_text
from scd_lightning.tasks.markdown_text import code, inline

# What asks an exported student; read as text, since this part loads no framework.
_ASKING = Path(__file__).parents[2] / "models" / "asking.py"
PROMPT, BASE = "prompt_template.json", "base_model.json"
PAPER = "https://arxiv.org/abs/2601.10114"
_LANGUAGES = {"en": "English", "ja": "Japanese"}
_POLICIES = {
    "SingleBest": "the best checkpoint teaches throughout (traditional distillation)",
    "FixedOrder": "the checkpoints teach in order, spread evenly over the stages",
    "ScheduledCheckpoint": (
        "at each stage's start the checkpoint is chosen that is near both the best teacher and the student as it is "
        "by then: the least KL(best || checkpoint) + KL(student || checkpoint)"
    ),
    "ScheduledForward": (
        "each stage takes a later checkpoint than the one before, and the last stage the best: of those that leave one "
        "for each stage to come, the one with the least KL(best || checkpoint) + KL(student || checkpoint); where too "
        "few are left for that, the best"
    ),
}


def write_model_card(run_dir: Path, record: RunRecord, found: RunIntervals) -> Path | None:
    """Writes the card beside the exported student; it names no path, user or machine.

    Args:
        run_dir: Folder of a finished run.
        record: What was read from it.
        found: Its intervals.

    Returns:
        The card's path; None where the run exported no student.

    Raises:
        StoreError: A file of the student's is damaged.
    """
    folder = run_dir / "student"
    if not folder.is_dir():
        return None
    metrics = record.results["metrics"]
    prompt, base = read_json(folder / PROMPT, None), read_json(folder / BASE, {})
    facts = {
        "results": record.results,
        "split": evaluated_split(record.results),
        "prompt": prompt,
        "answer_note": record.task.answer_note(prompt) if record.task and prompt else "",
        "base": base,
        "front": _front(record, base),
        "title": _title(record),
        "method": _method(record),
        "texts": record.results["data"].get("unlabelled"),
        "language": _LANGUAGES.get(record.results["data"].get("language", ""), "unknown"),
        "models": [(title, metrics[name]) for name, title in MODEL_NAMES.items() if name in metrics],
        "metrics": metric_names(record.results),
        "differences": _differences(record, found),
        "error": record.results.get("subdomains", {}).get("student_vs_teacher", {}).get("error"),
        "generation": read_json(folder / "generation_config.json", {}),
        "own_code": "auto_map" in read_json(folder / "config.json", {}),
        "code": asking_code(),
        "check": record.results.get("export_check") or {},
        "otherwise": exported_otherwise(record.results),
        "training": _training(record),
        "costs": record.costs,
        "paper": PAPER,
    }
    path = folder / "README.md"
    write_text(path, _render(facts))
    return path


def asking_code() -> dict[str, str]:
    """The functions that ask an exported student, by name: what a run held its own export against it by."""
    source = _ASKING.read_text(encoding="utf-8")
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return {node.name: ast.get_source_segment(source, node) or "" for node in functions}


def _render(facts: dict[str, Any]) -> str:
    return _cards().get_template("model_card.md.j2").render(**facts)


@cache
def _cards() -> Environment:
    # Markdown, not HTML, whose escapes the code in it would keep.
    card = environment(escape=False)
    card.keep_trailing_newline = True
    card.filters |= {"python": repr, "inline": inline, "code": code}
    return card


def _title(record: RunRecord) -> str:
    return f"{record.results['models']['student']['name']} for {data_name(record.results)}"


def _front(record: RunRecord, base: dict[str, Any]) -> str:
    """The hub's YAML head; what is not known is left out, except the licence, which is then "unknown"."""
    results = record.results
    language = results["data"].get("language")
    # Files at an address or on this machine have no id of the hub's.
    source = re.match(r"hub set (\S+)", results["data"].get("source") or "")
    data_set = source and source[1]
    head: dict[str, Any] = {
        "license": base.get("license") or "unknown",
        "base_model": base.get("hub_id"),
        "language": [language] if language in _LANGUAGES else None,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["knowledge-distillation", "scd-lightning", results["task"], results["method"]],
        "datasets": [data_set] if data_set else None,
        "metrics": [results["primary_metric"]],
        "model-index": [{"name": _title(record), "results": [_index(record, data_set)]}],
    }
    known = {name: value for name, value in head.items() if value is not None}
    return yaml.safe_dump(known, sort_keys=False, allow_unicode=True).strip()


def _index(record: RunRecord, data_set: str | None) -> dict[str, Any]:
    results = record.results
    name = data_name(results)
    values = results["metrics"].get("student", {})
    return {
        "task": {"type": (record.task and record.task.hub_task) or results["task"]},
        "dataset": {"name": name, "type": data_set or name, "split": evaluated_split(results)},
        "metrics": [{"type": metric, "value": round(value, 4)} for metric, value in values.items()],
    }


def _method(record: RunRecord) -> dict[str, Any]:
    policy = record.schedule.get("policy", "")
    weighting = record.config.get("method", {}).get("weighting") or {}
    return {
        "name": record.results["method"],
        "distilled": bool(record.results.get("schedule")),
        "policy": _POLICIES.get(policy, f"the policy {inline(policy)} chooses the checkpoint of each stage"),
        "from_anchor": record.config.get("student", {}).get("init") == "anchor",
        "adaptive": weighting.get("_target_", "").endswith("AdaptiveWeight"),
        "weight": weighting.get("weight"),
        "checkpoints": record.schedule.get("num_checkpoints"),
        "chosen": [stage["checkpoint"] for stage in record.results.get("schedule") or []],
    }


def _differences(record: RunRecord, found: RunIntervals) -> list[dict[str, Any]]:
    """The student minus anchor and teacher, with intervals over samples: those of the run's report."""
    others = ("anchor", "teacher") if record.results["method"] != PLAIN else ("teacher",)
    leads = [(other, found.differences.get(("student", other), {}).get(found.primary)) for other in others]
    return [
        {"other": other, "of": found.primary, "value": lead.value, "bounds": bounds(lead), "sure": lead.side != 0}
        for other, lead in leads
        if lead is not None
    ]


def _training(record: RunRecord) -> list[tuple[str, Any]]:
    """Settings of the student's training, as (name, value)."""
    config = record.config
    if not config:
        return []
    student, budget, objective = (config.get(name, {}) for name in ("student", "budget", "objective"))
    lora, tokens = student.get("lora") or {}, budget.get("batch_tokens")
    batch = "samples of an optimizer step" if tokens is None else "tokens of an optimizer step, padding included"
    listed = [
        _length(record),
        (batch, budget.get("global_batch") if tokens is None else tokens),
        ("optimizer", str((student.get("optimizer") or {}).get("_target_", "")).rpartition(".")[2]),
        ("learning rate", _learning_rate(config)),
        ("warm-up of a stage", student.get("warmup")),
        ("divergence", str((objective.get("divergence") or {}).get("_target_", "")).rpartition(".")[2]),
        ("temperature", objective.get("temperature")),
        ("adapters", f"LoRA, rank {lora['r']}, merged" if lora.get("r") else "none"),
        ("precision", config.get("trainer", {}).get("precision")),
    ]
    return [(name, value) for name, value in listed if value not in (None, "")]


def _length(record: RunRecord) -> tuple[str, str]:
    budget, seen = record.config.get("budget", {}), record.results.get("samples_seen", {})
    if not seen:
        return "stages x epochs", f"{budget.get('stages')} x {budget.get('stage_epochs')}"
    # A student of plain fine-tuning is the anchor.
    return "stages, and samples seen in all", f"{budget.get('stages')}, {seen.get('student', seen.get('anchor')):,}"


def _learning_rate(config: dict[str, Any]) -> float | None:
    """The one that the student was trained with: its own, times the factors of budget and method."""
    rate = config.get("student", {}).get("optimizer", {}).get("lr")
    if rate is None:
        return None
    # Plain fine-tuning is the anchor's training, which a method's factor is not for.
    method = config.get("method", {})
    factors = [config.get("budget", {}), *([method] if method.get("policy") or method.get("pseudo_labels") else [])]
    # A product of decimal fractions is not 0.00012 but 0.00011999999999999999.
    return float(f"{rate * math.prod(each.get('lr_scale', 1) for each in factors):.12g}")
