"""Runs the sections, keeps their rows with the machine and the versions, and makes the page."""

import argparse
import importlib
import json
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import page
from benchmarks.machine import commit, folder_name, machine, versions
from benchmarks.settings import PEERS, ROOT, SECTIONS, Settings

# Quick numbers are good for nothing, so they never stand beside real ones.
QUICK_RESULTS = ROOT / "build" / "bench" / "quick"


def main(arguments: list[str]) -> int:
    """Runs what was asked for and prints the table of targets.

    Args:
        arguments: The command line, without the program.

    Returns:
        The exit code; 1 where an environment or the GPU is missing.
    """
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = Settings(
            Path(folder),
            options.device,
            options.quick,
            alone=options.alone,
            keep_going=options.keep_going,
            model=None if options.model is None else options.model.resolve(),
        )
        if missing := _missing(settings, options.only):
            print(missing, file=sys.stderr)
            return 1
        about = machine(settings.device)
        usual = QUICK_RESULTS if settings.quick else page.RESULTS
        results = (options.results or usual) / folder_name(about)
        common = {"machine": about, "versions": versions(settings), "command": _command(arguments), "commit": commit()}
        for section in (name for name in SECTIONS if name in options.only):
            start = time.perf_counter()
            print(f"== {section}", file=sys.stderr, flush=True)
            rows = []
            # A section may give its rows one by one; where time is short, those that are there are kept.
            for row in importlib.import_module(f"benchmarks.{section}").measure(settings):
                rows.append(row)
                took = round(time.perf_counter() - start, 1)
                _write(results / f"{section}.json", common | {"took_seconds": took, "rows": rows})
    if settings.quick:
        print("These runs are too small for their numbers to say anything; they show that all of it works.\n")
    elif options.results is None:
        page.write(page.RESULTS, page.PAGE)
    print(page.summary(page.read(results)))
    return 0


def _missing(settings: Settings, sections: set[str]) -> str | None:
    """What measuring needs and is not there, in words."""
    if settings.model is not None and not settings.model.is_file():
        return f"--model: there is no file {settings.model}"
    if settings.device == "cuda" and not torch.cuda.is_available():
        return "--device cuda: PyTorch finds no GPU here"
    try:
        for peer in PEERS if sections & {"steps", "runs"} and not settings.alone else ():
            settings.python(peer)
    except FileNotFoundError as error:
        return str(error)
    return None


def _command(arguments: list[str]) -> str:
    return shlex.join(["python", "-m", "benchmarks", *arguments])


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _sections(text: str) -> set[str]:
    names = set(text.split(","))
    if unknown := names - set(SECTIONS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_sections, default=set(SECTIONS), help=f"sections: {','.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="small and few; writes no results into the repository")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what computes (default: cpu)")
    parser.add_argument("--alone", action="store_true", help="without the other frameworks")
    parser.add_argument("--keep-going", action="store_true", help="measure the other cases, too, where one fails")
    parser.add_argument("--results", type=Path, help="folder for a folder of results, instead of the repository's")
    parser.add_argument("--model", type=Path, help="a GGUF file of a pretrained model, see benchmarks.cut_gguf")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
