"""What a sweep shows while it is running: the comparison of the runs that have ended."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_page import write_comparison
from scd_lightning.analysis.comparison.comparison_table import comparison_table, verdict_lines
from scd_lightning.progress import show


def show_so_far(title: str, runs: Sequence[Path], folder: Path, allowed: Sequence[str]) -> None:
    """Compares runs, writes the page and shows the tables.

    Args:
        title: What stands above them.
        runs: The runs' folders.
        folder: The sweep's, where the page goes.
        allowed: See `task_of`.
    """
    comparison = compare(runs, allowed)
    page = write_comparison(comparison, folder)
    where = Text(f"comparison so far: {page}", no_wrap=True, overflow="ignore")
    # At once, so that no line of another job gets in between.
    show(Group(Rule(title), comparison_table(comparison), where, verdict_lines(comparison), Rule()))
