"""`python -m benchmarks.evidence`: runs the evidence block by block, and makes docs/results.md of what they left."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.evidence import page
from benchmarks.evidence.again import again
from benchmarks.evidence.blocks import Block
from benchmarks.evidence.parts import PARTS
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study, tiny
from benchmarks.evidence.work import Places, processes, state, work
from scd_lightning.cli.outcome import outcome
from scd_lightning.progress import complain

BUILD = Path("build/evidence")
# Of what `again` finds on the same kind of machine. Another one rounds otherwise, and what a training comes to differs.
TOLERANCE = 1e-6


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Those of the command line, or None for the process's own.

    Returns:
        The exit code: 0; 1 where blocks could not be made or came out otherwise, which was printed; 2 where the input
        can't be used.
    """
    options = _parser().parse_args(arguments)
    study = tiny(options.tiny) if options.tiny else Study()
    return outcome(lambda: _do(options, study))


def _do(options: argparse.Namespace, study: Study) -> int:
    if options.command in ("run", "again"):
        return (_run if options.command == "run" else _again)(options, study)
    lines = page.write(study, options.to) if options.command == "page" else _states(study)
    print(*lines, sep="\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument(
        "--tiny", type=Path, help="to see that all runs: sizes of seconds, whose files go in this folder"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="runs the blocks of a part that are not there for today's settings")
    anew = commands.add_parser("again", help="runs blocks anew in an empty store, and holds them against their files")
    for each in (run, anew):
        each.add_argument("--part", type=int, choices=PARTS, required=True)
        each.add_argument("--data", type=Path, help="folder of the real data sets")
        each.add_argument("--task", help="the blocks of one task alone")
        each.add_argument("--draw", type=int, nargs="*", help="the blocks of some draws alone")
        kind = "the blocks of one kind alone, as in the names that `list` says"
        each.add_argument("--kind", required=each is anew, help=kind)
    run.add_argument("--build", type=Path, default=BUILD, help="where the store and the runs' folders lie")
    anew.add_argument("--build", type=Path, required=True, help="a new folder for them")
    commands.add_parser("list", help="says which blocks are there")
    made = commands.add_parser("page", help="makes docs/results.md and its plots")
    made.add_argument("--to", type=Path, default=page.PAGE, help="another file")
    return parser


def _blocks(options: argparse.Namespace, study: Study) -> list[Block]:
    return [
        block
        for block in PARTS[options.part].blocks(study)
        if options.task in (None, block.task)
        and options.kind in (None, block.kind)
        and (options.draw is None or block.draw in options.draw)
    ]


def _run(options: argparse.Namespace, study: Study) -> int:
    blocks = _blocks(options, study)
    with processes() as pool:
        troubles = work(study, blocks, Places(options.build, options.data), pool)
    if troubles:
        complain("\n".join([f"{len(troubles)} of {len(blocks)} blocks are not there:", *troubles]))
    return 1 if troubles else 0


def _again(options: argparse.Namespace, study: Study) -> int:
    far = False
    with processes() as pool:
        for block in _blocks(options, study):
            places = Places(options.build / block.name, options.data)
            metric, loss = again(study, block, places, pool)
            far |= max(metric, loss) > TOLERANCE
            print(f"{block.name}: metrics differ by {metric:.2g} at most, mean losses by {loss:.2g} nats")
    return 1 if far else 0


def _states(study: Study) -> list[str]:
    rates = Rates(study)
    return [
        f"part {number}: {block.name}: {state(study, block, rates)}"
        for number, part in PARTS.items()
        for block in part.blocks(study)
    ]


if __name__ == "__main__":
    sys.exit(main())
