"""The command `scd`: `scd task=ner ...` runs jobs, `scd predict ...` and the like are its other commands."""

import os
import signal
import sys
from importlib import import_module

# Command -> the module whose `main` takes its arguments; loaded only where it is asked for.
COMMANDS = {
    "predict": "scd_lightning.cli.predict",
    "report": "scd_lightning.cli.report",
    "store": "scd_lightning.cli.store",
}


def run() -> int:
    """Runs what the process's arguments say.

    Returns:
        The exit code.
    """
    # First of all: what follows takes seconds to load, and has begun nothing. A job has a handler of its own.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    name, *arguments = sys.argv[1:] or [""]
    if name in COMMANDS:
        code: int = import_module(COMMANDS[name]).main(arguments)
        return code
    from scd_lightning.cli.main import main
    from scd_lightning.config.invocation import configuration

    return main(configuration())
