"""The command `scd`: `scd task=ner ...` runs jobs, `scd predict ...` and the like are its other commands."""

import io
import os
import re
import signal
import sys
from contextlib import redirect_stdout
from importlib import import_module

from scd_lightning.config.invocation import configuration, program
from scd_lightning.progress import say

# Command -> the module whose `main` takes its arguments; loaded only where it is asked for.
COMMANDS = {
    "evaluate": "scd_lightning.cli.evaluate",
    "export": "scd_lightning.cli.export",
    "predict": "scd_lightning.cli.predict",
    "report": "scd_lightning.cli.report",
    "serve": "scd_lightning.cli.serve",
    "store": "scd_lightning.cli.store",
}
# How Hydra's help, which is written for a clone, runs things, and the blanks before what is said of it.
_RUN = re.compile(r"python (?:run\.py|-m scd_lightning\.(\w+))((?: \S+)*)(  +(?=\S))?")


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

    if not {"--help", "-h"} & set(sys.argv[1:]):
        return main(configuration())
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            return main(configuration())
    finally:  # Hydra ends the process itself behind its help.
        say(_RUN.sub(_as_run, printed.getvalue()).rstrip())
        others = ", ".join(" ".join(program(each)) for each in COMMANDS)
        say(f"\nOther commands, each with a --help of its own: {others}")


def _as_run(found: re.Match[str]) -> str:
    """A command of the help, as this process was started, with what is said of it where it stood."""
    command, arguments, blanks = found.groups()
    words = " ".join(program(command or "")) + arguments
    return words if blanks is None else words.ljust(len(found[0]) - 2) + "  "
