"""`python -m benchmarks.evidence`: runs the evidence block by block, and makes docs/results.md of what they left."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.evidence.parts import PARTS
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study, tiny
from benchmarks.evidence.work import Places, state, work
from scd_lightning.errors import ScdError, exit_code
from scd_lightning.progress import complain

BUILD = Path("build/evidence")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Those of the command line, or None for the process's own.

    Returns:
        The exit code: 0; 1 where blocks could not be made, which was printed; 2 where the input can't be used.
    """
    options = _parser().parse_args(arguments)
    study = tiny(options.tiny) if options.tiny else Study()
    try:
        if options.command == "run":
            return _run(options, study)
        print(*_states(study), sep="\n")
    except ScdError as error:
        complain(f"{type(error).__name__}: {error}")
        return exit_code(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument(
        "--tiny", type=Path, help="to see that all runs: sizes of seconds, whose files go in this folder"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="runs the blocks of a part that are not there for today's settings")
    run.add_argument("--part", type=int, choices=PARTS, required=True)
    run.add_argument("--data", type=Path, help="folder of the real data sets")
    run.add_argument("--build", type=Path, default=BUILD, help="where the store and the runs' folders lie")
    run.add_argument("--task", help="the blocks of one task alone")
    run.add_argument("--draw", type=int, nargs="*", help="the blocks of some draws alone")
    commands.add_parser("list", help="says which blocks are there")
    return parser


def _run(options: argparse.Namespace, study: Study) -> int:
    blocks = [
        block
        for block in PARTS[options.part].blocks(study)
        if options.task in (None, block.task) and (options.draw is None or block.draw in options.draw)
    ]
    troubles = work(study, blocks, Places(options.build, options.data))
    if troubles:
        complain("\n".join([f"{len(troubles)} of {len(blocks)} blocks are not there:", *troubles]))
    return 1 if troubles else 0


def _states(study: Study) -> list[str]:
    rates = Rates(study)
    return [
        f"part {number}: {block.name}: {state(study, block, rates)}"
        for number, part in PARTS.items()
        for block in part.blocks(study)
    ]


if __name__ == "__main__":
    sys.exit(main())
