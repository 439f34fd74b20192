"""What a run writes into its folder, by name: no other file there is ever taken for one of ours."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from scd_lightning.config.settings import PHASES
from scd_lightning.errors import StoreError
from scd_lightning.store.manifest import read_json
from scd_lightning.store.ownership import SCRATCH

# The command of the run whose folder it is, and what of this it wrote; in its place, that of a later command that
# ended before it had anything to write here.
RUN, ATTEMPT = "run.json", "attempt.json"
RESULTS, FAILURE = "results.json", "failure.json"
# What Hydra has composed, where Hydra itself would put it.
HYDRA = tuple(f".hydra/{name}.yaml" for name in ("config", "hydra", "overrides"))
STUDENT, CARD = "student", "student/README.md"
# The student's folder, until it is whole.
PARTIAL_STUDENT = "student.partial"
# What loggers call a training: by its phase, a round of healing by its layers too.
_HEALING = "heal_[0-9]*"
_PREDICTIONS = ("teacher", "anchor", "student", "samples", "unlabelled")
_TABLES = ("partial", "costs", "curves", "trajectory", "schedule", "confidence", "trial")
FILES = (
    RUN,
    RESULTS,
    FAILURE,
    "config.yaml",
    "rejected.jsonl",
    "report.html",
    *(f"{name}.json" for name in _TABLES),
    *(f"step-seconds-{phase}.json" for phase in PHASES),
    *(f"predictions/{name}.jsonl" for name in _PREDICTIONS),
    *(f"logs/{phase}/{name}" for phase in PHASES for name in ("metrics.csv", "hparams.yaml")),
    *(f"tensorboard/{part}/hparams.yaml" for part in (*PHASES, "results")),
    *HYDRA,
    PARTIAL_STUDENT,
)
_RANKS = "failures/rank-*.json"
_PATTERNS = (
    _RANKS,
    *(f"tensorboard/{part}/events.out.tfevents.*" for part in (*PHASES, _HEALING, "results")),
    *(f"{folder}/{_HEALING}/hparams.yaml" for folder in ("logs", "tensorboard")),
    f"logs/{_HEALING}/metrics.csv",
)
# W&B's own folder may be the user's, with runs of other programs in it: of these there are those of the run's id alone.
_WANDB, _WANDB_JOB = "wandb", "wandb/job.json"
WANDB_LINKS = ("latest-run", "debug.log", "debug-internal.log", "debug-cli.log")
WANDB_RUN = re.compile(r"wandb/(offline-)?run-\d{8}_\d{6}-[\w-]+")
# What a process that was killed has left of a file that it was writing.
_OF_SCRATCH = re.compile(r"\.(.+)\.\d+-[^.]+\.tmp")
# Of a sweep, in its own folder: whose it is, and what its end, or that of a search, leaves beside its jobs.
SWEEP = "sweep.json"
FOUND = (
    SWEEP,
    "comparison.html",
    "comparison.json",
    "search.json",
    "search.png",
    "override.txt",
    "optimization_results.yaml",
)
# Beside them, the best student of all jobs; and the same until it is whole.
BEST, PARTIAL_BEST = "best", "best.partial"
# Folders that a run makes: one that leads elsewhere is not ours.
_FOLDERS = (".hydra", "failures", "logs", "predictions", STUDENT, "tensorboard", PARTIAL_STUDENT)


def may_be_own(name: str) -> bool:
    """Whether a name, as a file gives it, is one that a run may write: nothing outside of its folder ever is."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name:
        return False
    parts = path.parts
    in_student = len(parts) > 1 and parts[0] == STUDENT
    matches = any(path.match(each) and len(parts) == len(PurePosixPath(each).parts) for each in _PATTERNS)
    known = name in (*FILES, _WANDB_JOB) or _is_temporary(name)
    return known or matches or in_student or WANDB_RUN.fullmatch(name) is not None


def present(folder: Path) -> set[str]:
    """Which of these a folder holds, apart from the student and what W&B has written."""
    found = {name for name in FILES if os.path.lexists(folder / name)}
    found |= {path.relative_to(folder).as_posix() for pattern in _PATTERNS for path in folder.glob(pattern)}
    return found | links(folder) | set(_temporary(folder))


def _temporary(folder: Path) -> Iterator[str]:
    for parent in {PurePosixPath(name).parent for name in FILES}:
        for path in (folder / parent).glob(".*.tmp"):
            if _is_temporary(name := str(parent / path.name)):
                yield name


def _is_temporary(name: str) -> bool:
    path = PurePosixPath(name)
    found = _OF_SCRATCH.fullmatch(path.name) if re.fullmatch(SCRATCH, path.name) else None
    return found is not None and str(path.with_name(found[1])) in FILES


def failures(folder: Path) -> set[str]:
    """What the processes of a job have said of their errors: a later command's, which has no other place for them."""
    return {path.relative_to(folder).as_posix() for path in folder.glob(_RANKS)}


def links(folder: Path) -> set[str]:
    """Those of the folders which a run makes that are links."""
    return {name for name in _FOLDERS if (folder / name).is_symlink()}


def exported(folder: Path) -> set[str]:
    """All files in the student's folder, or what stands in its place."""
    root = folder / STUDENT
    if not root.is_dir():
        return {STUDENT} if os.path.lexists(root) else set()
    return {path.relative_to(folder).as_posix() for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


def logged(folder: Path) -> set[str]:
    """What W&B has of the run that the folder's last job was: folders, and links to them."""
    job = folder / _WANDB_JOB
    if (folder / _WANDB).is_symlink() or job.is_symlink() or not job.is_file():
        return set()
    with suppress(StoreError):  # What can't be read gives no id.
        return {_WANDB_JOB, *_of_id(folder, str(read_json(job).get("id")))}
    return {_WANDB_JOB}


def _of_id(folder: Path, own: str) -> Iterator[str]:
    """Names of the folders of a run of W&B's; two of the same second differ by a number."""
    for path in (folder / _WANDB).iterdir():
        name = path.relative_to(folder).as_posix()
        if WANDB_RUN.fullmatch(name) and re.search(rf"-{re.escape(own)}(-\d+)?$", name):
            yield name


def wandb_links(folder: Path) -> list[Path]:
    """W&B's links to what is not there any more."""
    root = folder / _WANDB
    if root.is_symlink() or not root.is_dir():
        return []
    return [root / name for name in WANDB_LINKS if (root / name).is_symlink() and not (root / name).exists()]
