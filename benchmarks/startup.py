"""How long run.py takes where there is nothing to do, and to answer what is wrong on its command line."""

import time
from typing import Any

from benchmarks.commands import run_python
from benchmarks.rows import spread
from benchmarks.settings import Settings

# The default data, all of which a run reads and tokenizes even where nothing is to be done; what is measured is the
# second time, so training is as short as it can be.
_SHORT = ("teacher.epochs=1", "teacher.checkpoints=2", "budget.stages=1", "budget.stage_epochs=1")
# What is answered before any framework is loaded: a number, a path, one that might be of the hub, a name.
_WRONG = (
    ("budget.stages=-1",),
    ("task.data.path=no/such/folder",),
    ("teacher=hub", "teacher.path=no/such/folder"),
    ("method=td", "method.weighting.weight=2"),
    ("logger=wandb", "logger.wandb.mode=ofline"),
)


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a command: {"command", "rounds", "seconds": {median, min, max}}; interleaved."""
    store = f"paths.store={settings.folder / 'store'}"
    run = ["run.py", *_SHORT, store, f"hydra.run.dir={settings.folder / 'run'}"]
    _seconds(settings, run)
    folder = f"hydra.run.dir={settings.folder / 'refused'}"
    refused = {f"python run.py {' '.join(wrong)}, refused": ["run.py", *wrong, folder] for wrong in _WRONG}
    commands = {
        f"python run.py {' '.join(_SHORT)}, all phases in the store": run,
        "python run.py --help": ["run.py", "--help"],
        **refused,
        "python -c 'import torch, lightning, transformers'": ["-c", "import torch, lightning, transformers"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    rounds = 2 if settings.quick else 5
    for _ in range(rounds):
        for name, arguments in commands.items():
            taken[name].append(_seconds(settings, arguments, code=2 if name in refused else 0))
    return [{"command": name, "rounds": rounds, "seconds": spread(seconds)} for name, seconds in taken.items()]


def _seconds(settings: Settings, arguments: list[str], code: int = 0) -> float:
    start = time.perf_counter()
    run_python(arguments, settings.environment, code)
    return time.perf_counter() - start
