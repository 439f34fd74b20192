"""What the commands beside run.py have in common: their parsers, and how they end."""

import argparse
from collections.abc import Callable, Sequence

from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ScdError, exit_code
from scd_lightning.progress import complain

Run = Callable[[argparse.Namespace], int | None]


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


def command(parser: Callable[[], argparse.ArgumentParser], run: Run) -> Callable[..., int]:
    """The `main` of a command, which takes its arguments, or with None the process's own, and gives the exit code.

    Args:
        parser: Makes its parser.
        run: Does all the work, told what the parser has found; see `outcome`.
    """

    def main(arguments: Sequence[str] | None = None) -> int:
        made = parser()
        # Texts may stand behind options, too, which commands with commands of their own can't have.
        parse = made.parse_args if made._subparsers is not None else made.parse_intermixed_args
        options = parse(arguments)
        return outcome(lambda: run(options))

    return main


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
