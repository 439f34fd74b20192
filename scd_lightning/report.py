"""`python -m scd_lightning.report FOLDER ...`: rebuilds reports from what runs saved, and compares any runs."""

import sys

from scd_lightning.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
