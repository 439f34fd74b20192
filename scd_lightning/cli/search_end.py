"""What surrounds the jobs of a search: what it is for, and the best that they found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from typing_extensions import override

from scd_lightning.analysis.search.search_summary import SEARCH, search_text
from scd_lightning.analysis.search.trials import summarize
from scd_lightning.cli.best import leave_best
from scd_lightning.cli.overrides import swept_keys
from scd_lightning.cli.report import show_trials
from scd_lightning.cli.sweep import SweepEnd
from scd_lightning.errors import ConfigError
from scd_lightning.progress import say


class SearchSummary(SweepEnd):
    """After a search: a table of what was tried, and the best of it as an override for other runs."""

    @override
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        super().on_multirun_start(config, **kwargs)
        if "optuna" in config.hydra.sweeper._target_:
            # Not above: it is there with an extra of this package alone.
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)

    @override
    def first_texts(self, config: DictConfig) -> dict[str, str]:
        """An empty search: one that is cut off is then known as such."""
        return {SEARCH: search_text(summarize([], _searched(config.hydra.sweeper)))}

    @override
    def conclude(self, folder: Path) -> Sequence[str]:
        found = show_trials(folder)
        say(f"search: {folder / 'search.json'}")
        leave_best(folder)
        types = [failure.type for failure in found.failures]
        # A training whose numbers went wrong is a bad setting, and no failure of a search that has found another.
        return types if found.chosen is None else [each for each in types if each != "NotFinite"]


def _searched(sweeper: DictConfig) -> list[str]:
    """The settings that a search is for: all that vary but the seed, over which it takes the mean."""
    found = [name for name in swept_keys(sweeper.get("params")) if name != "seed"]
    if not found:
        raise ConfigError(
            "There is nothing to search for: the command line gives one value for each setting of the search",
            where=", ".join(map(str, sweeper.get("params") or ["hydra.sweeper.params"])),
            expected="several values, as in student.optimizer.lr=1e-4,1e-3; without it, those of hparams_search",
        )
    return found
