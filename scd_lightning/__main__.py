"""`python -m scd_lightning ...` is `scd ...`."""

import sys

from scd_lightning.cli.command import run

if __name__ == "__main__":
    sys.exit(run())
