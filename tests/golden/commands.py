"""What run.py does, seen from outside: twelve commands, and all that each says and leaves.

It only starts commands and reads files, so that no redesign of the package reaches into it. `python -m
tests.golden.commands` records anew what tests/golden/records holds; do that only where a change is meant.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
RECORDS = HERE / "records"
_ROOT = HERE.parent.parent
# As many at a time as the smallest machine has cores.
_AT_ONCE = 2
_SECONDS = 400

_BODY = "num_hidden_layers: {}, num_attention_heads: 2, num_key_value_heads: 2, tie_word_embeddings: true"
_COMMON = (
    "teacher.checkpoints=3",
    "teacher.global_batch=8",
    "budget.stages=2",
    "budget.global_batch=8",
    "budget.probe_samples=20",
    "logger=csv",
    # Machines round differently: in 64 bits not so that an answer or a digit that is shown would change.
    "trainer.precision=64-true",
)
# From scratch: whole runs in seconds, which learn nothing but to lower their loss.
_SMALL = (
    *_COMMON,
    "task.data.synthetic.train=48",
    "task.data.synthetic.validation=12",
    "task.data.synthetic.test=14",
    "teacher=scratch",
    "student=scratch",
    "teacher.architecture={hidden_size: 48, intermediate_size: 96, " + _BODY.format(2) + "}",
    "student.architecture={hidden_size: 32, intermediate_size: 64, " + _BODY.format(1) + "}",
    "teacher.vocab_size=400",
    "student.vocab_size=400",
    "teacher.optimizer.lr=0.002",
    "student.optimizer.lr=0.002",
    "teacher.epochs=2",
    "budget.stage_epochs=1",
)
# Pretrained, and long enough that answers are right and wrong.
_LEARNING = (
    *_COMMON,
    "task.data.synthetic.train=96",
    "task.data.synthetic.validation=24",
    "task.data.synthetic.test=40",
    "teacher=embedded",
    "student=embedded",
    "student.path=scd_lightning:models/embedded/student",
    "teacher.optimizer.lr=0.002",
    "student.optimizer.lr=0.004",
    "teacher.epochs=8",
    "budget.stage_epochs=4",
    "task.validation=task",
)


@dataclass(frozen=True)
class Case:
    """Commands that follow one another in one folder.

    Attributes:
        overrides: The command's, besides those that all have.
        common: Those.
        trainer: The trainer group.
        signals: By each start of the command, the signal that ends it, where one does: see `ending.EndingAt`.
        files: Name -> text of files that are there before.
    """

    overrides: Sequence[str]
    common: Sequence[str] = _SMALL
    trainer: str = "cpu"
    signals: Sequence[str] = ("",)
    files: dict[str, str] = field(default_factory=dict)


_ENDING = "+callbacks.ending={_target_: ending.EndingAt, _partial_: true}"
CASES = {
    "ner_sft": Case(("task=ner", "method=sft"), _LEARNING),
    "qa_scd_aw_cached": Case(("task=qa", "method=scd_aw", "objective=skew_kl"), _LEARNING),
    "classification_scd_aw_live": Case(("task=classification", "method=scd_aw", "method.teacher=live"), _LEARNING),
    "ner_scd_aw_ddp": Case(("task=ner", "method=scd_aw", "trainer.devices=2"), trainer="ddp_cpu"),
    "ner_lora": Case(("task=ner", "method=cd", "teacher.lora.r=4", "evaluate.base=true"), _LEARNING),
    "ner_killed_and_gone_on": Case(
        ("task=ner", "method=scd", "resume.every_steps=2", "allowed_targets=[ending]", _ENDING),
        signals=("SIGKILL", "SIGTERM", ""),
    ),
    "sweep": Case(("-m", "task=classification", "seed=0,1", "method=sft,td_aw")),
    "no_such_option": Case(("task=nerr",)),
    "no_such_setting": Case(("student.optimizer.lrr=0.1",)),
    "wrong_number": Case(("budget.probe_samples=0",)),
    "wrong_row": Case(
        ("task=ner", "task.data.path=data"),
        files={
            "data/train.jsonl": '{"id": "a", "text": "Ann is in Bern.", "entities": []}\n'
            '{"id": "b", "text": "Bo is in Rome.", "entities": [{"start": 0, "end": 99, "label": "person"}]}\n'
        },
    ),
    "no_such_model": Case(("task=ner", "teacher.path=no/such/folder", "teacher=hub"), _COMMON),
}


def observe(case: Case, folder: Path) -> dict[str, str]:
    """Runs a case, and gives what can be seen of it.

    Args:
        case: The case.
        folder: An empty folder.

    Returns:
        Name of a file -> its text: what each start said and its exit code, and the files that a reader of the run
        trusts, times and places of this machine apart.
    """
    for name, text in case.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    seen = {}
    for number, signal in enumerate(case.signals):
        done = _run(case, folder, signal)
        prefix = f"{number}-" if len(case.signals) > 1 else ""
        seen[f"{prefix}exit_code"] = f"{done.returncode}\n"
        seen[f"{prefix}stdout"] = _timeless(done.stdout, folder)
        seen[f"{prefix}stderr"] = _timeless(done.stderr, folder)
    runs = folder / "runs"
    for pattern in ("results.json", "schedule.json", "predictions/*.jsonl"):
        for path in sorted(runs.rglob(pattern)):
            seen[str(path.relative_to(runs))] = _timeless(path.read_text(encoding="utf-8"), folder)
    return seen


def observe_all(folder: Path, names: Sequence[str] = tuple(CASES)) -> dict[str, dict[str, str]]:
    """Runs cases side by side, each in a folder of its own.

    Args:
        folder: Where these folders go.
        names: Which of them.
    """
    for name in names:
        (folder / name).mkdir(parents=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(names, pool.map(lambda name: observe(CASES[name], folder / name), names), strict=True))


def recorded(name: str) -> dict[str, str]:
    """What was recorded of a case."""
    root = RECORDS / name
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _run(case: Case, folder: Path, signal: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "SCD_STORE": str(folder / "store"),
        "PYTHONPATH": str(HERE),
        "COLUMNS": "160",
        "GOLDEN_SIGNAL": signal,
    }
    places = ("hydra.run.dir=runs/run", "hydra.sweep.dir=runs", "hydra.sweep.subdir=${hydra.job.num}")
    flags = [each for each in case.overrides if each.startswith("-")]
    own = {each.partition("=")[0] for each in case.overrides}
    common = [each for each in case.common if each.partition("=")[0] not in own]
    overrides = [f"trainer={case.trainer}", *common, *places, *(each for each in case.overrides if each not in flags)]
    return subprocess.run(
        [sys.executable, str(_ROOT / "run.py"), *flags, *overrides],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )


def _timeless(text: str, folder: Path) -> str:
    """A text without what differs from one run of the same command to the next."""
    text = text.replace(str(folder.resolve()), "FOLDER").replace(str(folder), "FOLDER").replace(str(_ROOT), "ROOT")
    # A machine with much to do tells how far a phase is, which elsewhere is over before.
    text = re.sub(r"^  (job \d+, )?\w+, phase \d of \d.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\d+\.\d+ s, \d+\.\d+ GiB", "EFFORT", text)
    text = re.sub(r"(teacher loads?) at \d+\.\d GB/s", r"\1 at SPEED", text)
    # Folders of the store are named by digests of settings in which classes have their names.
    return re.sub(r"\b(anchor|teacher|student|evaluation|tokenizer|model)-[0-9a-f]{24}\b", r"\1-DIGEST", text)


def record(names: Sequence[str]) -> None:
    """Replaces the records of cases by what they do now."""
    with TemporaryDirectory() as folder:
        for name, seen in observe_all(Path(folder), names).items():
            shutil.rmtree(RECORDS / name, ignore_errors=True)
            for file, text in seen.items():
                path = RECORDS / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1:] or tuple(CASES))
