"""No contender: measures the parts of the floor when it is its turn, so that they see the machine that steps see."""

import argparse

from benchmarks import floor, workload
from benchmarks.contenders.arguments import parse
from benchmarks.contenders.gate import Gate


def main(arguments: argparse.Namespace) -> None:
    """Measures each part once for each order."""
    case, _ = workload.read(arguments.folder)
    parts = floor.parts(case, arguments.device)
    gate = Gate(arguments.device)
    gate.ready()
    for _ in range(case.steps):
        times = {name: floor.timed(part, arguments.device) for name, part in parts.items()}
        gate.done(0.0, parts=times, gemm_size=floor.GEMM_SIZES[arguments.device])


if __name__ == "__main__":
    main(parse())
