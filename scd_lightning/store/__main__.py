"""`python -m scd_lightning.store`: what is in the store, for which runs, how big, and what can go."""

import sys

from scd_lightning.cli.store import main

if __name__ == "__main__":
    sys.exit(main())
