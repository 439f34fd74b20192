"""From run.py to the training in a few frames; a wrong name or number is answered before any framework is there."""

import subprocess
import sys
import traceback

import pytest
from lightning import Trainer

from scd_lightning.training.distillation import Distillation
from tests.conftest import ROOT


def test_eight_frames_from_run_py_to_the_training(run_py, monkeypatch):
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
    assert len(found) <= 8, "\n".join(found)
    assert found[0].endswith("run.py")
    assert found[-1].endswith("student_training.py")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["task=nre"], ["budget.stagse=3"], ["seed=-1"], ["phases=[train]"], ["budget.probe_samples=0"]]
    + [["budget.samples=0"], ["budget.samples=many"]]
    + [
        ["teacher.epochs=0"],
        ["student.optimizer.lr=x"],
        ["teacher.optimizer.weight_decay=null"],
        ["student.warmup=2"],
        ["task.max_length=0"],
        ["resume.exit_code=0"],
        ["+trainer.max_epochs=3"],
    ],
    ids=" ".join,
)
def test_no_framework_is_loaded_for_it(arguments, tmp_path):
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['run.py', *{arguments!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')\n"
        "finally:\n"
        "    print('loaded:', sorted({'torch', 'lightning', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == (0 if arguments == ["--help"] else 2), done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
