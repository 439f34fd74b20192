"""Stores with artifacts that are quick to make."""

from pathlib import Path

import pytest

from scd_lightning.store.artifacts import ArtifactKey, ArtifactStore, Outcome
from scd_lightning.store.layout import ARTIFACT, STORED_SIGNALS
from scd_lightning.store.making import make_folder, make_place
from scd_lightning.store.manifest import sha256_json, write_json, write_sealed
from scd_lightning.store.registry import Registration


class Maker:
    """Makes artifacts, signals and runs in the store of a test."""

    def __init__(self, root: Path, runs: Path) -> None:
        self.root, self.runs = root, runs

    def artifact(self, kind: str, seed: int = 0) -> str:
        def build(folder: Path) -> Outcome:
            (folder / "train_losses.npy").write_bytes(b"x" * 1000)
            if kind == "teacher":
                entries = [
                    {"file": f"checkpoint-{index}.safetensors", "sha256": f"{seed}-{index}"} for index in range(2)
                ]
                write_sealed(folder / "trajectory" / "manifest.json", {"frozen": None, "entries": entries})
            result: dict = {"best": 1, "trajectory": [1, 2]} if kind == "teacher" else {"value": seed}
            return Outcome(result, {"seconds": 1.0})

        return ArtifactStore(self.root, "run").make(ArtifactKey(kind, {"seed": seed}), build).folder.name

    def partial(self, name: str) -> Path:
        """What a run has begun to make, or a removal has taken out."""
        (self.root / "removed").mkdir(parents=True, exist_ok=True)
        return make_folder(self.root / f"{name}.partial", ARTIFACT, self.root, name)

    def signals(self, checkpoint: str) -> str:
        digest = sha256_json([checkpoint])
        name = f"signals-{digest[:24]}"
        folder = self.root / "signals" / name
        make_place(folder.parent)
        make_folder(folder, STORED_SIGNALS, self.root)
        (folder / "hidden.npy").write_bytes(b"x" * 100)
        head = f"head-{digest[:24]}.safetensors"
        (self.root / "signals" / head).write_bytes(b"x" * 10)
        write_json(folder / "manifest.json", {"checkpoint": digest, "samples": "probe signals", "head": head})
        return name

    def run(self, name: str, *artifacts: str) -> Registration:
        folder = self.runs / name
        folder.mkdir(parents=True)
        registration = Registration(self.root, folder, f"python run.py name={name}").__enter__()
        registration.add(artifacts)
        return registration


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Fills the store of a test."""
    return Maker(tmp_path / "store", tmp_path / "runs")
