"""report.html: what a run found, from the files in its folder alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.formatting import number
from scd_lightning.analysis.pages import render, script_json
from scd_lightning.analysis.records import (
    MODEL_NAMES,
    PLAIN,
    RunRecord,
    data_name,
    decompositions,
    evaluated_split,
    metric_names,
    read_partial_run,
    read_predictions,
)
from scd_lightning.analysis.run.intervals import RunIntervals
from scd_lightning.analysis.run.label_scores import label_scores
from scd_lightning.analysis.run.partial_run import partial_sentence, progress, reason, was_stopped
from scd_lightning.analysis.run.report_confidence import confidence_section
from scd_lightning.analysis.run.report_csv import downloads
from scd_lightning.analysis.run.report_figures import (
    curve_drawings,
    of_which,
    schedule_drawings,
    stages,
    subdomain_drawings,
    trajectory_drawing,
    weights_drawings,
)
from scd_lightning.analysis.run.report_samples import sample_table
from scd_lightning.analysis.run.report_texts import texts_section
from scd_lightning.analysis.run.report_words import caveats, healing, plain, verdict_sentence, vocabulary_words
from scd_lightning.analysis.standing import bounds
from scd_lightning.analysis.statistics import SAMPLE_SCORE
from scd_lightning.redaction.cleaning import clean_text
from scd_lightning.store.manifest import write_atomically


def write_report(run_dir: Path, record: RunRecord, found: RunIntervals) -> Path:
    """Writes report.html, a page that needs no other file and no network.

    Args:
        run_dir: Folder of a finished run.
        record: What was read from it; what a file would show that a method does not make is left out.
        found: Its intervals.

    Returns:
        The path of the page.
    """
    top = {"verdict": verdict_sentence(record, found), "reason": None, "mend": False}
    texts = texts_section(record, read_predictions(run_dir, "unlabelled"))
    return _write(run_dir, record, found, **top, progress=[], texts=texts)


def write_partial_report(run_dir: Path) -> Path:
    """Writes report.html for a run that ended early, which it says at its top.

    Args:
        run_dir: Its folder, with a partial.json.

    Returns:
        The path of the page.

    Raises:
        StoreError: partial.json is missing, or a file is damaged.
    """
    record = read_partial_run(run_dir)
    partial, ended = record.results, record.results["ended"]
    top = {"verdict": partial_sentence(partial), "reason": reason(ended), "mend": not was_stopped(ended)}
    texts = texts_section(record, [])
    return _write(run_dir, record, RunIntervals(), **top, progress=progress(partial), texts=texts)


def _write(run_dir: Path, record: RunRecord, found: RunIntervals, **top: Any) -> Path:
    """Writes the page.

    Args:
        run_dir: The run's folder.
        record: What was read from it.
        found: Its intervals.
        **top: What a whole and a partial report have otherwise: verdict, reason, mend, progress and texts.
    """
    models = [(name, title) for name, title in MODEL_NAMES.items() if name in record.results["metrics"]]
    # A student of plain fine-tuning is its own anchor.
    itself = record.results.get("method") == PLAIN
    pairs = [pair for pair in found.differences if not (itself and "anchor" in pair)]
    samples = sample_table(record)
    page = render(
        "report.html.j2",
        **top,
        results=record.results,
        name=data_name(record.results),
        split=evaluated_split(record.results),
        caveats=caveats(record, found),
        metrics=_metrics(record, found, [name for name, _ in models], pairs),
        models=models,
        differences=pairs,
        decompositions=[each for each in decompositions(record.results) if each[0] == "student" or not itself],
        confidence=confidence_section(record),
        labels=label_scores(record),
        label_models=list(record.predictions),
        by_label=record.by_label,
        stages=stages(record),
        best=record.schedule.get("best_checkpoint"),
        of_which=of_which(record),
        trajectory_drawing=trajectory_drawing(record),
        schedule_drawings=schedule_drawings(record),
        weights_drawings=weights_drawings(record),
        curve_drawings=curve_drawings(record),
        curves=record.curves,
        subdomain_drawings=subdomain_drawings(record),
        samples=samples,
        sample_data=None if samples is None else script_json(samples),
        costs=record.costs,
        facts=_facts(record),
        command=clean_text(record.run.get("command") or ""),
        downloads=downloads(record, found),
    )
    path = run_dir / "report.html"
    # In one go: who looks at it, or interrupts this, has the old page or the new one.
    write_atomically(path, lambda temporary: temporary.write_bytes(page.encode("utf-8", "replace")))
    return path


def _metrics(
    record: RunRecord, found: RunIntervals, models: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """A row for each metric: every model's value with its interval, and the differences with theirs."""
    names = metric_names(record.results)
    if found.primary == SAMPLE_SCORE and found.models:
        names.insert(1, SAMPLE_SCORE)
    return [
        {
            "name": name,
            "values": [_value(record, found, model, name) for model in models],
            "differences": [
                lead and {"value": lead.value, "bounds": bounds(lead), "sure": lead.side != 0}
                for lead in (found.differences[pair].get(name) for pair in pairs)
            ],
        }
        for name in names
    ]


def _value(record: RunRecord, found: RunIntervals, model: str, metric: str) -> dict[str, Any]:
    interval = found.models.get(model, {}).get(metric)
    recorded = record.results["metrics"][model].get(metric, interval and interval.value)
    return {"value": recorded, "bounds": interval and f"{number(interval.low)} to {number(interval.high)}"}


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    """What was run, as (name, text), without what was not recorded."""
    results, data, run = record.results, record.results["data"], record.run
    models = [
        (role, model["name"] + (f", {model['parameters']:,} parameters" if "parameters" in model else ""))
        for role, model in results["models"].items()
    ]
    recorded = [
        ("method", results.get("method")),
        ("seed", results.get("seed")),
        *models,
        ("healing: layers, and validation KL to the whole model, thinned -> healed", healing(results)),
        ("data", data_name(results)),
        ("source", data.get("source")),
        ("digest of the data", data.get("digest")),
        ("samples", data.get("sizes")),
        ("evaluated split", evaluated_split(results)),
        ("split", data.get("split")),
        ("samples a student was to see", results.get("budget", {}).get("samples")),
        ("samples it saw, in whole epochs of a stage", results.get("samples_seen")),
        # The labels have a table of their own.
        ("settings", {name: value for name, value in data.get("settings", {}).items() if name != "labels"}),
        ("language", data.get("language")),
        ("shared between splits", data.get("overlap")),
        ("rows left out", data.get("rejected")),
        ("lost in conversion", data.get("lost")),
        ("inputs cut", data.get("cut")),
        ("entities and answers cut away", data.get("dropped")),
        ("recall that the cuts leave", {split: number(left) for split, left in data.get("recall_left", {}).items()}),
        ("vocabulary", vocabulary_words(data)),
        ("started", run.get("started")),
        ("finished", run.get("finished")),
        ("versions", results.get("versions")),
    ]
    return [(name, plain(value)) for name, value in recorded if value not in (None, {}, [], "")]
