"""What is deleted in a run's folder, and in a sweep's: as which kind, so by which proof that it was made here."""

import re
from pathlib import PurePosixPath

from scd_lightning.run_folder.names import (
    ATTEMPT,
    BEST,
    FILES,
    FOUND,
    PARTIAL_BEST,
    PARTIAL_STUDENT,
    STUDENT,
    WANDB_LINKS,
    WANDB_RUN,
)
from scd_lightning.store.ownership import SCRATCH, Kind

_NAMES = {PurePosixPath(name).name for name in (*FILES, ATTEMPT)} - {PARTIAL_STUDENT}
_PATTERNS = (r"rank-\d+\.json", r"events\.out\.tfevents\..+", r"job\.json", SCRATCH)
RUN_FILE = Kind("|".join([*map(re.escape, sorted(_NAMES)), *_PATTERNS]))
# Its mark lists what was exported; the card is written later.
STUDENT_FOLDER = Kind(STUDENT, r"README\.md|.*/", marked=True, fixed=True)
# Whatever has a mark above it, in the student's folder.
STUDENT_FILE = Kind(r".+")
UNFINISHED_STUDENT = Kind(re.escape(PARTIAL_STUDENT), r".*", marked=True)
LOGGED_RUN = Kind(PurePosixPath(WANDB_RUN.pattern).name, r".*")
LOGGED_LINK = Kind("|".join(map(re.escape, WANDB_LINKS)), link=True)
# An earlier run's files, on their way.
PUT_ASIDE = Kind(r"\.(replaced|returning|discarded)", r".*", marked=True)
LOCK_FILE = Kind(r"\.running\.(lock|json)|\.sweep\.lock", held=True)
SWEEP_FILE = Kind("|".join(map(re.escape, FOUND)))
# Its mark lists all that is in it.
BEST_FOLDER = Kind(BEST, r".*/", marked=True, fixed=True)
UNFINISHED_BEST = Kind(re.escape(PARTIAL_BEST), r".*", marked=True)


def kind_of(name: str) -> Kind:
    """What a file of a run's is, by its name from the run's folder."""
    if name == PARTIAL_STUDENT:
        return UNFINISHED_STUDENT
    if name.startswith(f"{STUDENT}/"):
        return STUDENT_FILE
    return LOGGED_RUN if WANDB_RUN.fullmatch(name) else RUN_FILE
