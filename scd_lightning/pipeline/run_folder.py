"""What a run writes in its folder, which may be one of the user's own; nothing else there is touched."""

from pathlib import Path

from scd_lightning.analysis import PARTIAL, PREDICTORS, RESULTS
from scd_lightning.analysis.search import TRIAL
from scd_lightning.launch.failures import FAILURE, FAILURES, RANK_FAILURES
from scd_lightning.store.making import claim
from scd_lightning.store.ownership import Kind

# Rows that were left out of the data.
REJECTED = "rejected.jsonl"
STUDENT, ALL_PREDICTIONS = "student", "predictions"
_TABLES = ("costs.json", "curves.json", "trajectory.json", "schedule.json")
_FILES = ("run.json", "config.yaml", "report.html", RESULTS, PARTIAL, REJECTED, FAILURE, TRIAL, *_TABLES)

RUN_FILE = Kind("|".join(name.replace(".", r"\.") for name in _FILES))
# Its mark lists what was exported; the card is written later.
STUDENT_FOLDER = Kind(STUDENT, r"README\.md", marked=True, fixed=True)
UNFINISHED_STUDENT = Kind(rf"\.{STUDENT}-[0-9a-f]{{8}}", ".*", marked=True, fixed=True)
_PREDICTIONS = rf"({'|'.join(PREDICTORS)}|samples|unlabelled)\.jsonl"
PREDICTIONS_FOLDER = Kind(ALL_PREDICTIONS, _PREDICTIONS, marked=True, fixed=True)
# Of loggers, which put into it what they like.
_LOGS = Kind("logs", ".*")
_FOLDERS = {STUDENT: STUDENT_FOLDER, ALL_PREDICTIONS: PREDICTIONS_FOLDER, FAILURES: RANK_FAILURES}
# What each run makes anew in its folder, with what it is.
MADE_ANEW: dict[str, Kind] = dict.fromkeys(_FILES, RUN_FILE) | _FOLDERS


def claim_run_folder(folder: Path) -> None:
    """Makes sure that a run's folder holds nothing of somebody else's where the run writes.

    Raises:
        ConfigError: It does.
    """
    claim(folder, MADE_ANEW | {"logs": _LOGS}, "hydra.run.dir")
