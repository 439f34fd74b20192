"""The best student of a sweep or a search, in a folder of its own, and the line that says how to ask it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.comparison.failed_jobs import Failure, describe_failures, is_finished
from scd_lightning.analysis.comparison.students_made import STUDENT as EXPORTED
from scd_lightning.analysis.comparison.students_made import Made, candidates
from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.analysis.records import RESULTS
from scd_lightning.cli.ask_line import ask_line
from scd_lightning.errors import words_of
from scd_lightning.progress import say
from scd_lightning.run_folder.best_folder import take_student, writing_best
from scd_lightning.run_folder.names import BEST, STUDENT
from scd_lightning.store.manifest import write_json


def leave_best(sweep: Path) -> None:
    """Leaves the best student of each task in a sweep's best/, and says how to ask it.

    What goes wrong in it is said, and fails no sweep: its jobs have what they made.

    Args:
        sweep: The sweep's folder.
    """
    try:
        folders = find_runs(sweep)
        groups = _named(candidates(folders))
        if not groups:
            return
        used = {job for students in groups.values() for made in students for job in made.jobs}
        # One that has finished without a student of its own, as with an anchor that was brought along, lacks nothing.
        left = {each: None for each in folders if each.name not in used and not is_finished(each)}
        left_out = describe_failures(left, folders)
        with writing_best(sweep) as folder:
            for name, students in groups.items():
                _put(folder / name, students, left_out)
    except Exception as error:  # Anything at all, a model that does not fit into memory too.
        say(f"The best student can't be put into {sweep / BEST} ({words_of(error)})")
        return
    for name, students in groups.items():
        say(_line(sweep / BEST / name / STUDENT, students, left_out, alone=len(groups) == 1))


def _named(groups: Mapping[tuple[Any, ...], list[Made]]) -> dict[str, list[Made]]:
    """The groups by their folders in best/: itself for the only one, else by the task's name, numbered if need be."""
    if len(groups) == 1:
        return dict(zip([""], groups.values(), strict=True))
    named: dict[str, list[Made]] = {}
    for students in groups.values():
        task = re.sub(r"[^\w.-]", "-", students[0].task).strip(".") or "task"
        names = (task, *(f"{task}-{number}" for number in range(2, len(groups) + 1)))
        named[next(name for name in names if name not in named)] = students
    return named


def _put(folder: Path, students: Sequence[Made], left_out: Sequence[Failure]) -> None:
    """Makes student/ and best.json of what a task's students are."""
    best = students[0]
    if best.role == EXPORTED and (best.run / RESULTS).exists():
        take_student(best.run / STUDENT, folder / STUDENT)
    else:
        _export(best, folder)
    write_json(
        folder / "best.json",
        {
            "task": best.task,
            "metric": best.metric_name,
            "best": best.to_dict(),
            "candidates": [each.to_dict() for each in students],
            "left_out": [{"job": each.folder, "error": each.type} for each in left_out],
        },
    )


def _export(best: Made, folder: Path) -> None:
    """Exports what its job did not: an anchor, or a student of a search."""
    # Torch, Lightning and transformers are loaded here; most sweeps do without.
    from scd_lightning.cli.built_job import rebuild_job
    from scd_lightning.pipeline.stored_student import export_stored

    export_stored(rebuild_job(best.run), best.role, folder)


def _line(folder: Path, students: Sequence[Made], left_out: Sequence[Failure], *, alone: bool) -> str:
    best, task = students[0], "" if alone else f" for {students[0].task}"
    among = f"of {len(students)} students" if len(students) > 1 else "the only student"
    asking = ask_line(folder)
    missing = f"; left out: {', '.join(f'job {each.folder} ({each.type})' for each in left_out)}" if left_out else ""
    where = f"ask it: {asking}" if asking else f"it lies in {folder}"
    return f"best on validation{task}, {among}: {best.name}, {best.metric_name} {best.metric:.3f}{missing}; {where}"
