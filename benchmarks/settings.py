"""What all sections of the benchmarks are told."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SECTIONS = (
    "pipeline",
    "steps",
    "runs",
    "growth",
    "reload",
    "startup",
    "processes",
    "saving",
    "texts",
    "gold",
    "candidates",
    "predicting",
    "serving",
)


class Peer(NamedTuple):
    """Another framework: what it is called, and the package that it comes as."""

    title: str
    package: str


PEERS = {"trl": Peer("TRL", "trl"), "modelopt": Peer("ModelOpt", "nvidia-modelopt")}


@dataclass(frozen=True)
class Settings:
    """How the benchmarks are run.

    Attributes:
        folder: For what they write on their way; thrown away.
        device: "cpu" or "cuda".
        quick: Smaller and fewer, to see that everything works; its numbers are good for nothing else.
        peers: Folder of the other frameworks' environments, one a name of PEERS.
        alone: Without the other frameworks.
        keep_going: Where a case fails, that is said, and the others are measured.
        model: A GGUF file of a pretrained model, cut as a rule; None for models with random weights alone.
    """

    folder: Path
    device: str = "cpu"
    quick: bool = False
    peers: Path = ROOT / "build" / "bench"
    alone: bool = False
    keep_going: bool = False
    model: Path | None = None

    def python(self, peer: str) -> Path:
        """The interpreter of another framework's environment.

        Raises:
            FileNotFoundError: The environment is not there.
        """
        path = self.peers / peer / "bin" / "python"
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: `make bench` makes the environments of {', '.join(PEERS)}")
        return path

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the processes that measure."""
        # Threads that spin while they wait slow down whoever's turn it is.
        return os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
