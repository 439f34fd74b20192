"""Silences what libraries say on every run and no user can act on; warnings of this package stay."""

import logging
import os
import warnings
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from scd_lightning.redaction.cleaning import clean_text

_PACKAGE = Path(__file__).parents[1]
_others = warnings.formatwarning


def quiet() -> None:
    """Sets the libraries' log levels and filters their standing warnings; to be called once they are imported.

    Some set the level of their log at that moment.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    disable_progress_bar()
    for name in ("lightning.pytorch", "lightning.fabric", "lightning", "pytorch_lightning", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for pattern in (
        ".*does not have many workers.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*The number of training batches.*",
        ".*Trying to infer the `batch_size`.*",
        # Metrics are torchmetrics that reduce over ranks themselves before they are logged.
        ".*`self.log\\(.*sync_dist=True.*",
        ".*predict returned None.*",
        ".*barrier\\(\\).*",
        ".*lr_scheduler.step\\(\\).*before.*",
        ".*`val_dataloader`.*",
        # peft asks a model by a name that transformers will drop.
        ".*is_gradient_checkpointing` is deprecated.*",
        ".*Checkpoint directory.*exists and is not empty.*",
        ".*Experiment logs directory.*exists and is not empty.*",
        # All phases of a job log to one W&B run.
        ".*There is a wandb run already in progress.*",
    ):
        warnings.filterwarnings("ignore", pattern)
    if warnings.formatwarning is not _in_words:
        global _others
        _others, warnings.formatwarning = warnings.formatwarning, _in_words


def _in_words(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    # Where in the code a warning on the user's data comes from is of no use to them.
    if Path(filename).is_relative_to(_PACKAGE):
        return f"warning: {clean_text(str(message))}\n"
    return clean_text(_others(message, category, filename, lineno, line))
