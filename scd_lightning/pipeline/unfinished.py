"""What a run that ends early leaves in its folder: a report of what exists until then."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scd_lightning.analysis.records import PARTIAL, RESULTS
from scd_lightning.analysis.run.report_page import write_partial_report
from scd_lightning.config.settings import PHASES
from scd_lightning.errors import Preempted, StoreError, interrupted
from scd_lightning.launch import preemption
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.phase_lines import reached
from scd_lightning.pipeline.report import MODELS, found_results, write_tables
from scd_lightning.pipeline.runner import Artifacts, Step, wanted
from scd_lightning.pipeline.shown_results import shown_results
from scd_lightning.pipeline.teacher_sft import TRAJECTORY
from scd_lightning.progress import say
from scd_lightning.redaction.cleaning import clean_text
from scd_lightning.run_folder.removable import RUN_FILE
from scd_lightning.store import layout
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import read_json, write_json
from scd_lightning.store.registry import TIME
from scd_lightning.store.removal import delete
from scd_lightning.store.saved_state import RESUME, STATE

_MADE = (PARTIAL, "report.html", "trajectory.json", "curves.json", "costs.json", "schedule.json")
_LONGEST_MESSAGE = 2000


@contextmanager
def partial_report(job: PreparedJob, steps: Sequence[Step], *, leads: bool) -> Iterator[None]:
    """Has a run that ends within the block by an error, a signal or Ctrl-C leave a report of what exists.

    The error goes on as it came: nothing that goes wrong here, a second Ctrl-C included, takes its place.

    Args:
        job: The run, prepared.
        steps: Its steps.
        leads: Whether this process speaks for the job.
    """
    try:
        yield
    except BaseException as error:
        if leads:
            _try_to_write(job, steps, error)
        raise
    # What an earlier try left goes where this one, of fewer phases, finished without a report.
    if leads and (job.run_dir / PARTIAL).exists():
        for name in _MADE:
            delete(job.run_dir / name, RUN_FILE, job.run_dir)


def _try_to_write(job: PreparedJob, steps: Sequence[Step], error: BaseException) -> None:
    try:
        preemption.reinstall()
        page = write_partial(job, steps, error)
        if page is not None:
            say(f"partial report: {page}")
    except BaseException as failure:  # Whatever it is, the error that ended the run is what matters.
        said = re.sub(r"\s+", " ", str(failure)).strip()
        with suppress(BaseException):
            say(f"No partial report could be made ({type(failure).__name__}{said and ': '}{said[:300]})")


def write_partial(job: PreparedJob, steps: Sequence[Step], error: BaseException) -> Path | None:
    """Writes partial.json, the tables as far as they exist, and report.html. Loads no model and evaluates nothing.

    Args:
        job: The run, prepared.
        steps: Its steps.
        error: What ended it.

    Returns:
        The page; None where the folder is an earlier run's still, or holds what one of the same settings has found.

    Raises:
        StoreError: A file can't be read or written.
    """
    folder = job.run_dir
    if job.folder.is_provisional or (folder / RESULTS).exists():
        return None
    steps = wanted(steps, job.phases)
    made = {step.name: artifact for step in steps if (artifact := job.store.find(step.key)) is not None}
    ended = _reason(error) | {"when": time.strftime(TIME)}
    found = {"ended": ended, "phases": _phases(job, steps, made)} | found_results(job, made)
    write_json(folder / PARTIAL, shown_results(found))
    # The curves of trainings that are not finished go up to where they were last saved.
    begun = {
        step.name: _state(job, step).get("curve") for step in steps if step.name in MODELS and step.name not in made
    }
    write_tables(job, steps, made, {name: curve for name, curve in begun.items() if curve})
    return write_partial_report(folder)


def _reason(error: BaseException) -> dict[str, str]:
    if interrupted(error):
        return {"type": "KeyboardInterrupt", "message": "Interrupted (Ctrl-C)."}
    # A cluster's own handler, which ours calls, may end the process by an exit.
    signal = error.signal if isinstance(error, Preempted) else preemption.requested()
    if signal is not None:
        return {"type": Preempted.__name__, "message": f"Ended by {signal}."}
    text = re.sub(r"\s+", " ", str(error)).strip()
    return {"type": type(error).__name__, "message": clean_text(text)[:_LONGEST_MESSAGE]}


def _phases(job: PreparedJob, steps: Sequence[Step], made: Artifacts) -> list[dict[str, Any]]:
    """Each phase of the run with its state, what it made, and what a begun one has saved."""
    found, ended = [], False
    for phase in PHASES:
        own = [step for step in steps if step.phase == phase]
        if not own and not (phase == "report" and phase in job.phases):
            continue
        missing = [step for step in own if step.name not in made]
        finished = bool(own) and not missing
        state = "finished" if finished else "not begun" if ended else "unfinished"
        ended = ended or not finished
        record = {
            "phase": phase,
            "state": state,
            "made": {step.name: reached(made[step.name], job) for step in own if step.name in made},
            "missing": [step.name for step in missing],
        }
        found.append(record | (_saved(job, missing[0]) if state == "unfinished" and missing else {}))
    return found


def _saved(job: PreparedJob, step: Step) -> dict[str, Any]:
    """What is there of an artifact that is not finished: where it goes on from, and the checkpoints kept so far."""
    saved: dict[str, Any] = {}
    if state := _state(job, step):
        saved["saved"] = {name: state.get(name) for name in ("step", "total_steps", "epoch", "saved")}
    with suppress(StoreError):
        if entries := CheckpointStore(_begun(job, step) / TRAJECTORY).entries:
            saved["checkpoints"] = [{"index": entry.index, "step": entry.step} for entry in entries]
    return saved


def _state(job: PreparedJob, step: Step) -> Mapping[str, Any]:
    """What is known of the saved state of a begun artifact; empty where there is none."""
    path = _begun(job, step) / RESUME / STATE
    with suppress(StoreError):
        if path.is_file():
            return dict(read_json(path))
    return {}


def _begun(job: PreparedJob, step: Step) -> Path:
    return job.store.root / f"{step.key.folder}{layout.PARTIAL}"
