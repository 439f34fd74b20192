"""Each kind of file of the store is cut short, changed or deleted; then the same command is run again."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        pattern: Where it is in the store.
        without: What is removed first, so that the run needs the file: else it would find what was made of it.
        noticed: Whether damage to it has something made anew; else it is of no account.
    """

    pattern: str
    without: tuple[str, ...] = ()
    noticed: bool = True


STUDENT = ("student-*", "evaluation-*")
EVALUATIONS = ("evaluation-*",)
KINDS = {
    "artifact.json of a teacher": Kind("teacher-*/artifact.json", STUDENT),
    "artifact.json of an evaluation": Kind("evaluation-*/artifact.json"),
    "trajectory/manifest.json": Kind("teacher-*/trajectory/manifest.json", STUDENT),
    "a teacher's checkpoint": Kind("teacher-*/trajectory/checkpoint-*.safetensors", STUDENT),
    "validation_losses.npy": Kind("teacher-*/validation_losses.npy", STUDENT),
    "weights/manifest.json": Kind("anchor-*/weights/manifest.json", EVALUATIONS),
    "an anchor's weights": Kind("anchor-*/weights/checkpoint-*.safetensors", EVALUATIONS),
    "train_losses.npy": Kind("anchor-*/train_losses.npy", STUDENT),
    "a student's weights": Kind("student-*/weights/checkpoint-*.safetensors"),
    "predictions.jsonl": Kind("evaluation-*/predictions.jsonl"),
    "tokenizer.json": Kind("tokenizer-*/tokenizer.json"),
    "tokenizer_config.json": Kind("tokenizer-*/tokenizer_config.json"),
    "manifest.json of signals": Kind("signals/signals-*/manifest.json", STUDENT),
    "hidden.npy": Kind("signals/signals-*/hidden.npy", STUDENT),
    "losses.npy": Kind("signals/signals-*/losses.npy", STUDENT),
    "a head": Kind("signals/head-*.safetensors", STUDENT),
    "a run's record": Kind("runs/*.json", noticed=False),
    "a lock": Kind("locks/*.lock", noticed=False),
    "a lock's owner": Kind("locks/*.json", noticed=False),
    "a lock of signals": Kind("signals/*.lock", noticed=False),
}


def cut(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(max(1, path.stat().st_size))])


def flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes() or b"\0")
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def delete(path: Path, draw: random.Random) -> None:
    path.unlink()


CUT, FLIPPED, DELETED = "a file of the store cut short", "a bit of the store flipped", "a file of the store deleted"
DAMAGES = {CUT: cut, FLIPPED: flip, DELETED: delete}


@pytest.fixture
def harm(whole, ledger, tmp_path, capsys):
    """Does harm to some kinds of files in a copy of the whole run's store, runs the command again, and compares."""

    def do(damage: str, *kinds: str, seed: int = 0) -> None:
        draw = random.Random(f"{kinds} {damage} {seed}")
        folder = whole.copy(tmp_path / f"{seed}")
        missing = make_needed(folder / "store", [KINDS[kind] for kind in kinds])
        harmed = [harm_one(folder / "store", kind, damage, draw) for kind in kinds]
        capsys.readouterr()
        with ledger.attempt(damage) as attempt:
            made = whole.run(folder) - missing
            whole.same(folder / "run")
            noticed = [each for each in harmed if each.noticed]
            assert len(made) == len({each.artifact for each in noticed if each.artifact})
            said = capsys.readouterr().out
            for each in noticed:
                attempt.lost = "what held the file, made anew"
                assert each.artifact is None or damage == DELETED or f"{each.artifact} is damaged" in said
                assert each.path.name == "artifact.json" or each.path.read_bytes() == each.before
        shutil.rmtree(folder)

    return do


@dataclass(frozen=True)
class Harmed:
    """A file that harm was done to.

    Attributes:
        path: Its path.
        before: Its content before.
        noticed: Whether it is to be made anew.
        artifact: The artifact that holds it; None for signals and what belongs to no artifact.
    """

    path: Path
    before: bytes
    noticed: bool
    artifact: str | None


def make_needed(store: Path, kinds: list[Kind]) -> set[str]:
    """Removes what keeps a run from reading the files; returns the names."""
    gone = {path for kind in kinds for pattern in kind.without for path in store.glob(pattern)}
    for path in gone:
        shutil.rmtree(path)
    return {path.name for path in gone}


def harm_one(store: Path, kind: str, damage: str, draw: random.Random) -> Harmed:
    about = KINDS[kind]
    path = draw.choice(sorted(store.glob(about.pattern)))
    before = path.read_bytes()
    DAMAGES[damage](path, draw)
    changed = not path.exists() or path.read_bytes() != before
    top = path.relative_to(store).parts[0]
    return Harmed(path, before, about.noticed and changed, top if "-" in top else None)


def test_several_files_at_once(harm):
    harm(FLIPPED, "a teacher's checkpoint", "a head", "train_losses.npy", "tokenizer.json")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_kind_of_file(harm, kind, damage):
    for seed in range(1 if damage == DELETED else 3):
        harm(damage, kind, seed=seed)
