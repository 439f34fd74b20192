"""Runs one job, or with -m a sweep: `python run.py task=ner teacher=llama student=tinyllama`."""

import os
import signal
import sys


def run() -> int:
    """Loads what is needed, and runs."""
    from pathlib import Path

    from scd_lightning.cli.main import main

    return main(Path(__file__).resolve().with_name("conf"))


if __name__ == "__main__":
    # First of all: what follows takes seconds to load, and has begun nothing. A job has a handler of its own.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(run())
