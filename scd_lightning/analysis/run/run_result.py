"""What a run has found, as data for a program."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.records import PLAIN, RESULTS, evaluated_split, read_config, read_run
from scd_lightning.analysis.run.intervals import run_intervals
from scd_lightning.analysis.run.report_words import verdict_sentence
from scd_lightning.run_folder.names import STUDENT


@dataclass(frozen=True)
class Verdict:
    """How a student stands to plain fine-tuning and to its teacher, as the run's report has it.

    Attributes:
        sentence: In words.
        metric: What the differences are of: the primary metric, or "sample score" where the saved rows don't give that.
        to_fine_tuning: The student minus its anchor, with the 95 % interval, `low` to `high`; its `side` is 1 or -1
            where that leaves out zero, else 0. None where the student is the anchor, or no interval can be had.
        to_teacher: Likewise, the student minus its teacher.
    """

    sentence: str
    metric: str
    to_fine_tuning: Interval | None
    to_teacher: Interval | None


@dataclass(frozen=True)
class RunResult:
    """What a run has found, and where it lies. Of a run without the phase `report` there is the folder alone.

    Attributes:
        folder: The run's folder.
        method: The method.
        seed: The seed.
        split: The split that was evaluated, "test" or "validation".
        primary_metric: What the task goes by.
        metrics: "teacher", "anchor", "student" -> metric -> value.
        decomposition: "student", "anchor" -> "loss", "error" -> advantage, deficit, gap and shares against the teacher.
        verdict: How the student stands to the others.
        student: Folder of the exported student, which `Student.load` takes.
        report: The page.
        results: The file with all of it.
    """

    folder: Path
    method: str
    seed: int
    split: str = ""
    primary_metric: str = ""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    decomposition: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    verdict: Verdict | None = None
    student: Path | None = None
    report: Path | None = None
    results: Path | None = None


def read_result(folder: Path) -> RunResult:
    """Reads what a run has left.

    Args:
        folder: The run's folder.

    Raises:
        StoreError: A file is damaged.
    """
    config = read_config(folder)
    method, seed = config["method"]["name"], config["seed"]
    if not (folder / RESULTS).exists():
        return RunResult(folder, method, seed)
    record = read_run(folder, config.get("allowed_targets") or ())
    found, results = run_intervals(record), record.results
    own = ("teacher",) if method == PLAIN else ("anchor", "teacher")
    leads: dict[str, Any] = {other: found.differences.get(("student", other), {}).get(found.primary) for other in own}
    pairs = results.get("subdomains", {})
    return RunResult(
        folder,
        method,
        seed,
        split=evaluated_split(results),
        primary_metric=results["primary_metric"],
        metrics=results["metrics"],
        decomposition={name.removesuffix("_vs_teacher"): risks for name, risks in pairs.items()},
        verdict=Verdict(verdict_sentence(record, found), found.primary, leads.get("anchor"), leads["teacher"]),
        student=folder / STUDENT,
        report=folder / "report.html",
        results=folder / RESULTS,
    )
