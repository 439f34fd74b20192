"""What people read of a finished run: its report, its student's model card, and its verdict."""

from collections.abc import Sequence
from pathlib import Path

from scd_lightning.analysis.records import read_run
from scd_lightning.analysis.run.intervals import run_intervals
from scd_lightning.analysis.run.model_card import write_model_card
from scd_lightning.analysis.run.report_page import write_report
from scd_lightning.analysis.run.report_words import verdict_sentence


def write_run_pages(run_dir: Path, allowed: Sequence[str] = ()) -> tuple[Path, str]:
    """Writes report.html and the model card, from files that are read once and intervals that are drawn once.

    Args:
        run_dir: Folder of a finished run.
        allowed: See `task_of`.

    Returns:
        The path of the report, and its verdict.

    Raises:
        StoreError: results.json is missing, or a file is damaged.
    """
    record = read_run(run_dir, allowed)
    found = run_intervals(record)
    write_model_card(run_dir, record, found)
    return write_report(run_dir, record, found), verdict_sentence(record, found)
