"""What the commands beside run.py have in common: their parsers, and how they end."""

import argparse
from collections.abc import Callable

from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ScdError, exit_code
from scd_lightning.progress import complain


def outcome(run: Callable[[], int | None]) -> int:
    """Runs a command; a mistake that the user can mend is printed.

    Args:
        run: Does all the work; what it returns is the exit code, None is success.

    Returns:
        The exit code.
    """
    try:
        return run() or 0
    except ScdError as error:
        complain(f"{type(error).__name__}: {error}")
        return exit_code(error)


def parser_of(command: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser that calls the command as the process was started.

    Args:
        command: "report", "predict" and the like.
        description: What it does, a sentence.
        epilog: Examples as they are to be printed, with {program} for the command, {blank} for as many blanks.
    """
    name = command_of(program(command))
    return argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=epilog.format(program=name, blank=" " * len(name)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
