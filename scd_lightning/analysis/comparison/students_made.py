"""The students that a sweep, or a search, has made, by what each reached on the validation split: who is the best."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scd_lightning.analysis.comparison.failed_jobs import is_finished, own_overrides
from scd_lightning.analysis.records import PLAIN, read_config, read_json
from scd_lightning.analysis.search import TRIAL
from scd_lightning.errors import StoreError
from scd_lightning.run_folder.names import RUN
from scd_lightning.run_folder.sweep_folder import failed_attempt

STUDENT, ANCHOR = "student", "anchor"
_PHASES = {STUDENT: "distill", ANCHOR: "student_sft"}


@dataclass(frozen=True)
class Made:
    """A student that a job has made, distilled or fine-tuned alone.

    Attributes:
        run: The job's folder.
        jobs: Names of all jobs' folders that have the same weights; its own first.
        role: What its job calls it: "student" is what the job exported, "anchor" what it fine-tuned besides.
        method: How it was trained; `PLAIN` of every anchor.
        seed: The job's.
        overrides: Those that not all jobs have.
        artifact: Name of its weights' folder in the store.
        metric_name: What validation measures.
        metric: The best epoch's, on the validation split.
        loss: Likewise, in nats.
        task: What results call the task; of two with different data it is the same.
        data: What sets the data apart from others of the task.
    """

    run: Path
    jobs: tuple[str, ...]
    role: str
    method: str
    seed: int
    overrides: tuple[str, ...]
    artifact: str
    metric_name: str
    metric: float
    loss: float
    task: str
    data: tuple[Any, ...]

    @property
    def name(self) -> str:
        """What it is, for people."""
        own = f" ({' '.join(self.overrides)})" if self.overrides else ""
        whose = f"job {self.run.name}{own}"
        return whose if self.role == STUDENT else f"the anchor of {whose}, which is fine-tuned alone"

    def to_dict(self) -> dict[str, Any]:
        """Gives what best.json says of it."""
        return {
            "jobs": list(self.jobs),
            "model": self.role,
            "method": self.method,
            "seed": self.seed,
            "plain_fine_tuning": self.method == PLAIN,
            "overrides": list(self.overrides),
            "validation_metric": self.metric,
            "validation_loss": self.loss,
        }


def candidates(folders: Sequence[Path]) -> dict[tuple[Any, ...], list[Made]]:
    """What jobs have made, the best first: highest validation metric, then lowest loss, then the first job's.

    Of anchors that jobs share there is one; it is the student of a job of plain fine-tuning, if there is such a job.
    What was brought along from elsewhere is none.

    Args:
        folders: The jobs'; those that did not finish, or whose files are damaged, are left out.

    Returns:
        Task, data and metric -> students that can be held against one another.
    """
    own = own_overrides(folders)
    found: dict[str, Made] = {}
    for folder in folders:
        for made in _read(folder, tuple(own[folder])):
            before = found.get(made.artifact, made)
            kept = made if (made.role, before.role) == (STUDENT, ANCHOR) else before
            found[made.artifact] = replace(kept, jobs=tuple(dict.fromkeys((*kept.jobs, *before.jobs, *made.jobs))))
    groups: dict[tuple[Any, ...], list[Made]] = {}
    for made in found.values():
        groups.setdefault((made.task, *made.data, made.metric_name), []).append(made)
    return {group: sorted(each, key=lambda made: (-made.metric, made.loss)) for group, each in groups.items()}


def _read(folder: Path, overrides: tuple[str, ...]) -> Iterator[Made]:
    try:
        of_search = read_json(folder / TRIAL, {})
        reached = list(_of_search(folder, of_search) if of_search else _of_run(folder))
        config = read_config(folder)
    except StoreError:
        return
    if not reached:
        return
    task = config["task"]
    name = task.get("name") or task["_target_"].rpartition(".")[2].lower()
    data = (task["_target_"], *(str(task["data"].get(each)) for each in ("path", "hub")))
    for role, metric_name, values in reached:
        method = config["method"]["name"] if role == STUDENT else PLAIN
        numbers = values["validation_metric"], values["validation_loss"]
        if all(each is not None and math.isfinite(each) for each in numbers):
            yield Made(
                *(folder, (folder.name,), role, method, config["seed"], overrides, values["artifact"]),
                *(metric_name, *numbers, name, data),
            )


Reached = tuple[str, str, Mapping[str, Any]]


def _of_search(folder: Path, trial: Mapping[str, Any]) -> Iterator[Reached]:
    """What a job of a search has noted of its students."""
    started = read_json(folder / RUN, {})
    if failed_attempt(folder) or not started.get("finished"):
        return
    for role, values in (trial.get("made") or {}).items():
        yield role, trial["metric"], values


def _of_run(folder: Path) -> Iterator[Reached]:
    """What a finished run's curves say of them."""
    if not is_finished(folder):
        return
    results, curves, costs = (read_json(folder / f"{name}.json", {}) for name in ("results", "curves", "costs"))
    config = read_config(folder)
    # As `TaskData.validation_metric` has it, which nothing that a run leaves says.
    metric = results["primary_metric"] if config["task"].get("validation") == "task" else "exact match"
    for role, phase in _PHASES.items():
        points = [point for point in curves.get(role, ()) if point.get("validation_metric") is not None]
        artifacts = costs.get(phase, {}).get("artifacts", {})
        if points and len(artifacts) == 1:
            best = max(points, key=lambda point: (point["validation_metric"], -point["validation_loss"]))
            # Without distillation the anchor is what the run exported.
            exported = STUDENT if "student" not in curves else role
            yield exported, metric, {**best, "artifact": next(iter(artifacts))}
