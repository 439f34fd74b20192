"""From run.py to the training in a few frames; a wrong name or number is answered before any framework is there."""

import json
import subprocess
import sys
import traceback

import pytest
from lightning import Trainer

from scd_lightning.training.distillation import Distillation
from tests.conftest import ROOT


def test_nine_frames_from_run_py_to_the_training(run_py, monkeypatch):
    found: list[str] = []
    fit = Trainer.fit

    def count(trainer, module, *arguments, **more):
        if isinstance(module, Distillation):
            frames = [frame.filename for frame in traceback.extract_stack()[:-1]]
            found.extend(
                name for name in frames if name.startswith((str(ROOT / "run.py"), str(ROOT / "scd_lightning")))
            )
        return fit(trainer, module, *arguments, **more)

    monkeypatch.setattr(Trainer, "fit", count)
    code, _, error = run_py("method=td", "phases=[teacher_sft,distill]")
    assert code == 0, error
    assert len(found) <= 9, "\n".join(found)
    assert found[0].endswith("run.py")
    assert found[-1].endswith("student_training.py")


ANSWERED_AT_ONCE = (
    "--help",
    "task=nre",
    "budget.stagse=3",
    "seed=-1",
    "phases=[train]",
    "budget.probe_samples=0",
    "budget.stages=-1",
    "budget.samples=0",
    "budget.samples=many",
    "teacher.epochs=0",
    "student.optimizer.lr=x",
    "teacher.optimizer.weight_decay=null",
    "student.warmup=2",
    "task.max_length=0",
    "resume.exit_code=0",
    "+trainer.max_epochs=3",
    "task.data.path=no/such",
    "task.data.unlabelled=./no.jsonl",
    "teacher=hub teacher.path=no/such/folder",
    "student=hub student.path=file",
    "student.gguf=no.gguf student.path=null",
    "teacher.trajectory=no/checkpoint-*",
    "anchor.path=no/anchor",
    "paths.store=file/store",
    "method=td method.weighting.weight=2",
    "method=cd method.policy.num_stages=0",
    "method.lr_scale=0",
    "method.teacher=dead",
    "objective.temperature=0",
    "objective=skew_kl objective.divergence.alpha=1",
    "objective.reduction=batch",
    "logger=wandb logger.wandb.mode=ofline",
    "logger=wandb logger.wandb.start_timeout=-1",
)
# One process for all: none of them loads what the others are to be answered without.
PROGRAM = """
import json, runpy, sys
for line in json.load(sys.stdin):
    sys.argv = ["run.py", *line.split(), "hydra.run.dir=run"] if line != "--help" else ["run.py", line]
    if session := sys.modules.get("scd_lightning.cli.session"):
        session.session.__init__()
    try:
        runpy.run_path(RUN, run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    print("answered:", json.dumps([code, sorted({"torch", "lightning", "transformers"} & set(sys.modules))]))
"""


# Each takes Hydra a second.
@pytest.mark.parametrize("asked", [ANSWERED_AT_ONCE[::4], pytest.param(ANSWERED_AT_ONCE, marks=pytest.mark.slow)])
def test_no_framework_is_loaded_for_what_is_answered_at_once(tmp_path, asked):
    (tmp_path / "file").touch()
    program = PROGRAM.replace("RUN", repr(str(ROOT / "run.py")))
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, input=json.dumps(asked), capture_output=True, text=True, cwd=tmp_path, check=True)
    answers = [each for each in done.stdout.splitlines() if each.startswith("answered: ")]
    found = dict(zip(asked, (json.loads(each.partition(" ")[2]) for each in answers), strict=True))
    assert found == {each: [0 if each == "--help" else 2, []] for each in asked}, done.stderr
