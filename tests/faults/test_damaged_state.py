"""Harm to what an interrupted run left unfinished in the store; then the same command again."""

import random
import shutil

import pytest
from lightning import Callback

# Which training is interrupted, and before which of its steps.
MOMENTS = {"teacher": ("FineTuning of teacher", 7), "anchor": ("FineTuning of student", 9), "student": ("Distil", 9)}


class Interruption(Callback):
    """Ends a training by an error."""

    def __init__(self, training, step):
        self.training, self.step = training, step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        name = f"{type(pl_module).__name__} of {pl_module.spec.role}"
        if name.startswith(self.training) and trainer.global_step == self.step:
            raise RuntimeError("interrupted")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, make_job_in, run_job, whole):
    """Folders with a store in which one training is half done."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(f"interrupted-{name}")
            job = make_job_in(made[name])(whole.METHOD, "resume.every_steps=1")
            job.callbacks = [lambda: Interruption(*MOMENTS[name])]
            with pytest.raises(RuntimeError, match="interrupted"):
                run_job(job)
        return made[name]

    return get


def cut(path, draw):
    path.write_bytes(path.read_bytes()[: draw.randrange(max(1, path.stat().st_size))])


def flip(path, draw):
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def delete(path, draw):
    path.unlink()


DAMAGES = {
    "a file of an unfinished stage cut short": cut,
    "a bit of an unfinished stage flipped": flip,
    "a file of an unfinished stage deleted": delete,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", MOMENTS)
def test_files_of_an_unfinished_stage(interrupted, whole, ledger, tmp_path, name, damage):
    source = interrupted(name) / "store"
    [partial] = source.glob("*.partial")
    files = [path.relative_to(source) for path in sorted(partial.rglob("*")) if path.is_file()]
    assert any("resume" in file.parts for file in files)
    for file in files:
        folder = tmp_path / file.name
        shutil.copytree(source, folder / "store")
        DAMAGES[damage](folder / "store" / file, random.Random(f"{file} {damage}"))
        with ledger.attempt(damage) as attempt:
            whole.run(folder)
            whole.same(folder / "run")
            attempt.lost = "at most the unfinished stage, begun again"
        shutil.rmtree(folder)
