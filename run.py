"""Runs one job, or with -m a sweep: `python run.py task=ner teacher=llama student=tinyllama`."""

import os
import sys

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from scd_lightning import launch


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Hands the composed configuration over."""
    launch.launch(cfg)


if __name__ == "__main__":
    # Makes Hydra hand exceptions on instead of ending the process with code 1 itself.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"ConfigError: the command line or the configuration can't be used. {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(launch.exit_code)
