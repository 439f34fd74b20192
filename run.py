"""Runs one job, or with -m a sweep: `python run.py task=ner teacher=llama student=tinyllama`."""

import os
import sys

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from scd_lightning import command_line, launch, preemption, ranks


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float | None:
    """Hands the composed configuration over."""
    return launch.launch(cfg)


if __name__ == "__main__":
    # Makes Hydra hand exceptions on instead of ending the process with code 1 itself.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = [command_line.one_line(each) for each in command_line.flags_first(sys.argv[1:])]
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"ConfigError: {command_line.explain(error)}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as error:
        if not command_line.interrupted(error):
            raise
        if ranks.tells():
            print(f"\n{command_line.INTERRUPTED}", file=sys.stderr)
        sys.exit(130)
    except preemption.Preempted as error:
        print(f"\n{command_line.PREEMPTED.format(error.signal)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (OSError, ValueError) as error:
        # Hydra composes and makes the run's folder before anything of ours has started.
        if launch.started or isinstance(error, ValueError) and launch.conclude_sweep is not None:
            raise
        mistake = command_line.unusable_folder(error) if isinstance(error, OSError) else command_line.explain(error)
        print(f"ConfigError: {mistake}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if launch.conclude_sweep is None or not launch.conclude_sweep(error):
            raise
    if ranks.is_rank():
        ranks.end(launch.exit_code)
    sys.exit(launch.exit_code)
