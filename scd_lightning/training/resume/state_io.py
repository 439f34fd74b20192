"""How the state of a training gets to the disk and back."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch.serialization import get_unsafe_globals_in_checkpoint
from typing_extensions import override

from scd_lightning.progress import say


class StateIO(CheckpointIO):
    """Writes states straight to the disk, where Lightning would hold all of it in memory once more; reads tensors only.

    Whatever else is saved meanwhile, as by a user's `ModelCheckpoint`, goes its own way.

    Args:
        root: The folder of the states.

    Attributes:
        others: Writes and removes everything else.
        error: What went wrong with the last state: raised, it would leave the other processes waiting.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.others: CheckpointIO = TorchCheckpointIO()
        self.error: OSError | None = None
        self._left_out: set[str] = set()

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        if self.root not in Path(path).parents:
            self.others.save_checkpoint(checkpoint, path, storage_options)
            return
        self.error = None
        try:
            self._leave_out(checkpoint, self._left_out)
            if _save(checkpoint, path):
                self._leave_out(
                    checkpoint, {name for name, state in checkpoint["callbacks"].items() if _save(state, io.BytesIO())}
                )
                if found := _save(checkpoint, path):
                    raise OSError(f"it holds {', '.join(found)}, which can't be read back")
        except Exception as error:  # Also a full disk, which torch's writer reports as a RuntimeError.
            self.error = error if isinstance(error, OSError) else OSError(str(error))

    def _leave_out(self, checkpoint: dict[str, Any], names: set[str]) -> None:
        for name in names - self._left_out:
            say(f"  The callback {name} keeps what can't be read back: where this training goes on, it starts anew")
        self._left_out |= names
        checkpoint["callbacks"] = {
            name: state for name, state in checkpoint.get("callbacks", {}).items() if name not in self._left_out
        }

    @override
    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a state; no pickled code is run."""
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return state

    @override
    def remove_checkpoint(self, path: Any) -> None:
        """Removes what is not a state: nothing of Lightning's removes those."""
        self.others.remove_checkpoint(path)

    @override
    def teardown(self) -> None:
        """Has the others end what they still write."""
        self.others.teardown()


def _save(content: Any, file: Any) -> list[str]:
    """Writes, and gives the names of what is more than tensors and plain values, which is not read back."""
    try:
        torch.save(content, file)
    # How pickle says that there is no way to write an object.
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        return [str(error)]
    if isinstance(file, io.BytesIO):
        file.seek(0)
    return get_unsafe_globals_in_checkpoint(file)
