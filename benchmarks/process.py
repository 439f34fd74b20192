"""A measurement in a process of its own: no peak memory, no warm cache and no thread is another one's."""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.commands import run_python
from benchmarks.settings import Settings


def fresh(settings: Settings, module: str, order: dict[str, Any]) -> Any:
    """Runs a module that takes an order and a file's name as arguments and writes its JSON answer into that file.

    Args:
        settings: The settings.
        module: The module's name.
        order: What it is told.

    Returns:
        The answer.

    Raises:
        RuntimeError: The process failed; the message ends with what it printed last.
    """
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        answer = Path(folder) / "answer.json"
        run_python(["-m", module, json.dumps(order), str(answer)], settings.environment)
        return json.loads(answer.read_text())
