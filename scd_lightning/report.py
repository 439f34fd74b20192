"""`python -m scd_lightning.report FOLDER ...`: rebuilds reports from what runs saved, and compares any runs."""

import os
import signal
import sys


def run() -> int:
    """Loads what is needed, and runs."""
    from scd_lightning.cli.report import main

    return main()


if __name__ == "__main__":
    # Ctrl-C at any time: what it writes is whole or not there.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(run())
