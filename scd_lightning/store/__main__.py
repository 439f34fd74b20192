"""`python -m scd_lightning.store`: what is in the store, for which runs, how big, and what can go."""

import os
import signal
import sys


def run() -> int:
    """Loads what is needed, and runs."""
    from scd_lightning.cli.store import main

    return main()


if __name__ == "__main__":
    # Ctrl-C at any time: what it removes is there or gone.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(run())
