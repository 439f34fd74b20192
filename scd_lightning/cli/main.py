"""The way in: from the command line to an exit code."""

import os
import sys
from pathlib import Path

import hydra

from scd_lightning.cli.clean_output import clean_output
from scd_lightning.cli.hydra_secrets import check_arguments
from scd_lightning.cli.job import run_job
from scd_lightning.cli.mistakes import mistake_of
from scd_lightning.cli.overrides import flags_first, one_line
from scd_lightning.cli.session import session
from scd_lightning.cli.swept_groups import VERSION, fit_to_options
from scd_lightning.errors import Preempted, exit_code, interrupted
from scd_lightning.launch import ranks
from scd_lightning.launch.lost_readers import outlive_readers
from scd_lightning.progress import complain

PREEMPTED = "Ended by {}. What was trained so far is saved: the same command goes on from there."
INTERRUPTED = "Interrupted. What is finished is in the store: the same command goes on from there."


def main(conf: Path) -> int:
    """Runs one job, or with -m a sweep, as the process's arguments say.

    Args:
        conf: The folder of the configuration.

    Returns:
        The exit code. A defect's traceback is Python's own to print.
    """
    outlive_readers()
    # Makes Hydra hand exceptions on instead of ending the process with code 1 itself.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = [one_line(each) for each in flags_first(sys.argv[1:])]
    clean_output()
    try:
        check_arguments(sys.argv[1:])
        sys.argv[1:] = fit_to_options(sys.argv[1:], conf)
        hydra.main(version_base=VERSION, config_path=str(conf), config_name="config")(run_job)()
    except BaseException as error:
        return _conclude(error)
    finally:
        session.let_go()
    if ranks.is_rank():
        ranks.end(session.exit_code)
    return session.exit_code


def _conclude(error: BaseException) -> int:
    """Says what ended the process, where no job has said it; a defect goes on as it came."""
    mistake = mistake_of(error)
    if mistake is not None:
        complain(f"ConfigError: {mistake}")
    elif isinstance(error, KeyboardInterrupt | SystemExit) and interrupted(error):
        if ranks.leads():
            complain(f"\n{INTERRUPTED}")
    elif isinstance(error, Preempted):
        complain(f"\n{PREEMPTED.format(error.signal)}")
    elif isinstance(error, Exception) and session.conclude_sweep is not None and session.conclude_sweep(error):
        return session.exit_code
    else:
        raise error
    return exit_code(mistake or error)
