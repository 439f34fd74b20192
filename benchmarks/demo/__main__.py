"""`python -m benchmarks.demo`: how the demo's ground was chosen, and its page."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.demo import page, shown, shown_texts, texts
from benchmarks.demo.rule import (
    Choice,
    Measured,
    Missing,
    Outcome,
    Search,
    choose,
    choose_so_far,
    rates_for,
    read_search,
)
from benchmarks.demo.shown import TASKS
from benchmarks.demo.trials import measure
from scd_lightning.cli.outcome import command

HERE = Path(__file__).parent
CANDIDATES, TUNING = HERE / "candidates.yaml", HERE / "tuning.json"
T = TypeVar("T")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--store", type=Path, default=Path("build/demo-store"), help="where trained models are kept")
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("choose", help="applies the rule, and measures what that takes")
    rates = parts.add_parser("rates", help="chooses the learning rates of another task on the chosen ground")
    rates.add_argument("task", choices=["qa", "classification"])
    keep = parts.add_parser("keep", help="keeps what a sweep of the demo has shown, alone and with further draws")
    keep.add_argument("sweep", type=Path, nargs="+")
    keep_texts = parts.add_parser("keep-texts", help="keeps what the demo's two sweeps with TEXTS=1 have shown")
    keep_texts.add_argument("labels", type=Path, help="the sweep of students that learn from labels alone")
    keep_texts.add_argument("texts", type=Path, help="the sweep of those that learn from texts without labels too")
    elsewhere = parts.add_parser("keep-elsewhere", help="keeps what the same demo has shown on another machine")
    elsewhere.add_argument("sweep", type=Path)
    for each in (keep, keep_texts, elsewhere):
        each.add_argument("--commit", required=True, help="which the runs were made at: they don't tell")
    of_texts = parts.add_parser("texts", help="keeps what sweeps on the tuning draws say of texts without labels")
    of_texts.add_argument("series", choices=texts.SERIES)
    of_texts.add_argument("sweep", type=Path, nargs="+")
    parts.add_parser("page", help="writes docs/demo.md and the README's table")
    return parser


def _run(options: argparse.Namespace) -> None:
    search = read_search(CANDIDATES)
    if options.part == "keep":
        print(shown.keep(options.sweep, options.commit))
    elif options.part == "keep-elsewhere":
        print(shown.keep_elsewhere(options.sweep, options.commit))
    elif options.part == "keep-texts":
        print(shown_texts.keep(options.labels, options.texts, options.commit))
    elif options.part == "texts":
        print(texts.keep(options.series, options.sweep))
    elif options.part == "page":
        measured = Measured(read_records())
        choice = choose_so_far(search, measured)
        print(*page.write(search, choice, _known(choice, search, measured)), sep="\n")
    else:
        choice = settle(lambda measured: choose(search, measured), options.store)
        assert choice.chosen is not None
        candidate = choice.chosen.candidate
        print(f"{candidate.name}, {choice.chosen.rates}; the rule is {'' if choice.met else 'not '}met")
        if options.part == "rates":
            found = settle(lambda measured: rates_for(candidate, search, measured, options.task), options.store)
            print(f"{options.task}: {found.rates}")


def _known(choice: Choice, search: Search, measured: Measured) -> dict[str, Outcome]:
    """What is measured of the chosen candidate on other tasks."""
    known: dict[str, Outcome] = {}
    for task in TASKS:
        if task != "ner" and choice.chosen is not None:
            with suppress(Missing):
                known[task] = rates_for(choice.chosen.candidate, search, measured, task)
    return known


def settle(decide: Callable[[Measured], T], store: Path) -> T:
    """Decides, and measures what that takes; each measurement is kept at once."""
    while True:
        records = read_records()
        try:
            return decide(Measured(records))
        except Missing as error:
            for number, record in enumerate(measure(error.trials, store), 1):
                records.append(record)
                write_records(records)
                print(f"{number} of {len(error.trials)}: {_line(record)}", flush=True)


def _line(record: dict[str, Any]) -> str:
    short = " ".join(each.rpartition(".")[2] for each in record["overrides"])
    return f"{record['model']} draw {record['draw']} {record['metric']:.3f} ({record['seconds']:.0f} s) {short}"


def read_records() -> list[dict[str, Any]]:
    """What was measured so far."""
    return json.loads(TUNING.read_text(encoding="utf-8")) if TUNING.exists() else []


def write_records(records: Sequence[dict[str, Any]]) -> None:
    """Keeps what was measured, a line a trial."""
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in records)
    TUNING.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


main = command(_parser, _run)


if __name__ == "__main__":
    sys.exit(main())
