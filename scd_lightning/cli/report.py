"""`python -m scd_lightning.report FOLDER ...`: rebuilds reports from what runs saved, and compares any runs.

It loads no model and imports no framework, so it answers in about a second.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group

from scd_lightning.analysis.comparison.compare import Comparison, compare
from scd_lightning.analysis.comparison.comparison_csv import write_csv
from scd_lightning.analysis.comparison.comparison_page import write_comparison
from scd_lightning.analysis.comparison.comparison_table import comparison_table, failure_lines, verdict_lines
from scd_lightning.analysis.comparison.failed_jobs import Failure, describe_attempts
from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.analysis.records import PARTIAL, ended_early, read_json, read_results
from scd_lightning.analysis.run.partial_run import partial_sentence, reason
from scd_lightning.analysis.run.report_page import write_partial_report
from scd_lightning.analysis.run.run_pages import write_run_pages
from scd_lightning.analysis.run.run_table import run_table
from scd_lightning.analysis.search.search_summary import show_search, write_search
from scd_lightning.analysis.search.trials import Search, read_trials, summarize
from scd_lightning.cli.outcome import outcome, parser_of
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.progress import say, show
from scd_lightning.run_folder.folder import settle
from scd_lightning.run_folder.names import ATTEMPT, FAILURE, RESULTS, RUN

_EPILOG = """examples:
  {program} outputs/2026-11-25/10-15-00      rebuilds the report of a run
  {program} multirun/2026-11-25/11-00-00     rebuilds those of a sweep, and its comparison;
  {blank}                                    of a search, its table
  {program} RUN RUN SWEEP --output here      compares any finished runs
  {program} SWEEP --csv tables               writes the tables as CSV files too
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Those of the command line, or None for the process's own.

    Returns:
        The exit code: 0, or 2 where the input can't be used, which is then printed.
    """
    options = _parser().parse_args(arguments)
    for folder in options.folders:
        for path in (folder, *folder.glob("*/")):
            settle(path)
    return outcome(lambda: _report(options))


def _report(options: argparse.Namespace) -> None:
    first, *others = options.folders
    if not others and ended_early(first):
        _show_partial(first)
    elif not others and (first / "search.json").is_file():
        show_trials(first)
    else:
        comparison = _rebuild(options.folders, options.output, options.allow)
        for path in [] if options.csv is None else write_csv(comparison, options.csv):
            say(f"table: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(
        "report",
        "Rebuilds reports from what runs saved, without loading a model, and compares any finished runs.",
        _EPILOG,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of a run or of a sweep")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where comparison.html and comparison.json go; by default the sweep's folder, else ./comparison",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of yours whose tasks the runs are of: its code is imported for their metrics",
    )
    parser.add_argument("--csv", type=Path, metavar="DIR", help="write the tables as CSV files into this folder")
    return parser


def _rebuild(folders: Sequence[Path], output: Path | None, allowed: Sequence[str]) -> Comparison:
    runs = {folder: _runs(folder) for folder in folders}
    comparison = compare([run for found in runs.values() for run in found], allowed)
    first = folders[0]
    if len(runs) == 1 and output is None:
        if runs[first] == [first]:
            _show_run(first, allowed)
            return comparison
        # Runs that merely lie side by side, such as a day's, are compared and left as they are.
        if (first / "multirun.yaml").exists() or (first / "comparison.json").exists():
            for setting in comparison.settings:
                for run in setting.runs:
                    write_run_pages(run.folder, allowed)
            output = first
    _show(comparison, output or Path("comparison"))
    return comparison


def _show_partial(folder: Path) -> None:
    page = write_partial_report(folder)
    partial = read_json(folder / PARTIAL, {})
    for text in (partial_sentence(partial), reason(partial["ended"]), f"partial report: {page}"):
        say(text)
    _tell_command(folder)


def show_sweep(folder: Path, allowed: Sequence[str]) -> Comparison:
    """Compares the runs of a sweep, and shows and writes what they say together.

    Args:
        folder: The sweep's.
        allowed: Packages of the user's whose tasks may be imported for their metrics.
    """
    comparison = compare(find_runs(folder), allowed)
    _show(comparison, folder)
    return comparison


def show_attempts(folder: Path, sweep: str) -> list[Failure]:
    """Shows how the jobs of a sweep failed in a folder that is another sweep's still.

    Args:
        folder: The folder.
        sweep: The identity of the sweep that failed.
    """
    failures = describe_attempts(find_runs(folder, sweep), sweep)
    show(Group(*failure_lines(failures)))
    return failures


def show_trials(folder: Path) -> Search:
    """Shows and writes what a search has found."""
    search = summarize(read_trials(folder), read_json(folder / "search.json", {}).get("searched", []))
    write_search(search, folder)
    show(show_search(search))
    return search


def _show_run(folder: Path, allowed: Sequence[str]) -> None:
    page, verdict = write_run_pages(folder, allowed)
    show(run_table(read_results(folder), verdict))
    say(f"report: {page}")
    _tell_command(folder)


def _tell_command(folder: Path) -> None:
    """Says whose a run's folder is, and what came to nothing there since."""
    if command := read_json(folder / RUN, {}).get("command"):
        say(f"run by: {command}")
    if attempt := read_json(folder / ATTEMPT, {}):
        say(f"A later command left all of this as it was. {attempt['type']}: {attempt['message']}")
        say(f"its command: {attempt['command']}")


def _show(comparison: Comparison, folder: Path) -> None:
    try:
        page = write_comparison(comparison, folder)
    except OSError as error:
        raise ConfigError(
            "The folder can't be written", where="--output", got=f"{folder} ({error.strerror})"
        ) from error
    show(comparison_table(comparison))
    say(f"comparison: {page}")
    show(verdict_lines(comparison))


def _runs(folder: Path) -> list[Path]:
    """The runs that a folder stands for: itself, or those of a sweep, finished or not.

    Raises:
        StoreError: It is none of these, or a run that did not finish.
    """
    if not folder.is_dir():
        raise StoreError("There is no such folder", where=folder, expected="the folder of a run or of a sweep")
    if (folder / RESULTS).exists():
        return [folder]
    if (folder / FAILURE).exists():
        failure = read_json(folder / FAILURE, {})
        raise StoreError(
            "The run failed, so there is nothing to report",
            where=folder,
            got=f"{failure.get('type')}: {failure.get('message', '').rstrip('.')}",
            remedy="mend that and run the same command again: what is finished is in the store and is reused",
        )
    if runs := find_runs(folder):
        return runs
    raise _not_a_run(folder)


def _not_a_run(folder: Path) -> StoreError:
    started = any((folder / name).exists() for name in (RUN, "config.yaml", ".hydra"))
    if started:
        return StoreError(
            "The run did not finish",
            where=folder,
            expected="a results.json, which the report phase writes last",
            remedy="run the same command again, with all its phases: what is finished is in the store and is reused",
        )
    below = sorted(path.parent for path in folder.glob("*/*/results.json"))
    return StoreError(
        "This is not the folder of a run or of a sweep",
        where=folder,
        expected="a results.json in it, or in folders just below it",
        remedy=f"name one such as {command_of([str(below[-1])])}, or several"
        if below
        else "name a folder under outputs/ or multirun/",
    )
