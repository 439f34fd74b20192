"""How long run.py takes where there is nothing to do."""

import time
from typing import Any

from benchmarks.commands import run_python
from benchmarks.rows import spread
from benchmarks.settings import Settings

# The default data, all of which a run reads and tokenizes even where nothing is to be done; what is measured is the
# second time, so training is as short as it can be.
_SHORT = ("teacher.epochs=1", "teacher.checkpoints=2", "budget.stages=1", "budget.stage_epochs=1")


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a command: {"command", "rounds", "seconds": {median, min, max}}; interleaved."""
    store = f"paths.store={settings.folder / 'store'}"
    run = ["run.py", *_SHORT, store, f"hydra.run.dir={settings.folder / 'run'}"]
    _seconds(settings, run)
    commands = {
        f"python run.py {' '.join(_SHORT)}, all phases in the store": run,
        "python run.py --help": ["run.py", "--help"],
        "python -c 'import torch, lightning, transformers'": ["-c", "import torch, lightning, transformers"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    rounds = 2 if settings.quick else 5
    for _ in range(rounds):
        for name, arguments in commands.items():
            taken[name].append(_seconds(settings, arguments))
    return [{"command": name, "rounds": rounds, "seconds": spread(seconds)} for name, seconds in taken.items()]


def _seconds(settings: Settings, arguments: list[str]) -> float:
    start = time.perf_counter()
    run_python(arguments, settings.environment)
    return time.perf_counter() - start
