"""What follows a sweep, in the process that started it."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from scd_lightning import launch, ranks


class SweepComparison(Callback):
    """After a multirun: a table over its methods and seeds, and the jobs that failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compares what finished; a sweep with a failed job ends with that job's exit code."""
        from scd_lightning.analysis.comparison import compare
        from scd_lightning.analysis.comparison_page import write_comparison
        from scd_lightning.analysis.comparison_table import comparison_table
        from scd_lightning.analysis.sweep import find_runs
        from scd_lightning.progress import console, say

        folder = Path(config.hydra.sweep.dir)
        runs = find_runs(folder)
        comparison = compare(runs)
        write_comparison(comparison, folder)
        console.print(comparison_table(comparison))
        say(f"comparison: {folder / 'comparison.html'}")
        failures = [path for path in runs if (path / ranks.FAILURE).is_file()]
        if failures and launch.exit_code == 0:
            launch.set_exit_code(1)
