"""Runs one job, or with -m a sweep: `python run.py task=ner teacher=llama student=tinyllama`."""

import sys
from pathlib import Path

from scd_lightning.cli.main import main

if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().with_name("conf")))
