"""The command line that all contenders share."""

import argparse
from pathlib import Path


def parse() -> argparse.Namespace:
    """Parses it: the workload's folder, a device, and either gated steps or a whole run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="what benchmarks.workload.make wrote")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--epochs", type=int, default=0, help="train this many epochs without gates, and report once")
    parser.add_argument("--kind", default="", help="which of several contenders of one file")
    return parser.parse_args()
