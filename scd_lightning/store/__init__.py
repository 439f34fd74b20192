"""What runs share and keep: checkpoints, artifacts and saved states, whole or not there, and which runs use them."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "CheckpointStore":
        raise AttributeError(name)
    # Not at once: the commands about the store need no torch.
    from scd_lightning.store.checkpoints import CheckpointStore

    return CheckpointStore
