"""`python -m benchmarks.demo`: chooses the demo's ground and learning rates by the rule; measures what that takes."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.demo.rule import Measured, Missing, choose, distil, read_search, tune
from benchmarks.demo.trials import measure

HERE = Path(__file__).parent
CANDIDATES, TUNING = HERE / "candidates.yaml", HERE / "tuning.json"
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--task", default="ner", choices=["ner", "qa", "classification"])
    parser.add_argument("--store", type=Path, default=Path("build/demo-store"), help="where trained models are kept")
    options = parser.parse_args(arguments)
    search = read_search(CANDIDATES)
    choice = settle(lambda measured: choose(search, measured), options.store)
    chosen = choice.chosen
    if options.task != "ner":
        candidate = chosen.candidate
        chosen = settle(
            lambda measured: distil(tune(candidate, search, measured, options.task), search, measured, options.task),
            options.store,
        )
    print(f"{options.task}: {chosen.candidate.name} with {chosen.rates}, the rule {'met' if choice.met else 'not met'}")
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
