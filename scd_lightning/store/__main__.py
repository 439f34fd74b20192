"""`python -m scd_lightning.store`: what is in the store, for which runs, how big, and what can go."""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from scd_lightning.errors import ScdError, StoreError
from scd_lightning.store import tables
from scd_lightning.store.inventory import Entry, Inventory, open_store
from scd_lightning.store.layout import PINNED, store_lock, unwritable
from scd_lightning.store.registry import check_records
from scd_lightning.store.removal import collect, collectable, obstacle, remove, with_signals

# A file or a pipe has no width: long enough that no line is broken.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ScdError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # Its reader, such as head, had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scd_lightning.store", description=__doc__.partition(": ")[2])
    common = argparse.ArgumentParser(add_help=False)
    default = Path(os.environ.get("SCD_STORE") or "store")
    # Before the command it is taken too; the command's own must then not set it back to the default.
    for each, unset in ((parser, default), (common, argparse.SUPPRESS)):
        help_ = "its folder; else SCD_STORE, else ./store"
        each.add_argument("--store", type=Path, default=unset, metavar="DIR", help=help_)
    for_scripts = argparse.ArgumentParser(add_help=False)
    for_scripts.add_argument("--json", action="store_true", help="print JSON")
    sure = argparse.ArgumentParser(add_help=False)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, run: Any, help_: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_, parents=[common, *parents])
        command.set_defaults(run=run)
        return command

    ls = add("ls", _ls, "list what is there, how big it is and which runs used it", for_scripts)
    ls.add_argument("--all", action="store_true", help="evaluations, signals and tokenizers too")
    add("du", _du, "add up sizes by kind", for_scripts)
    show = add("show", _show, "tell everything about one artifact", for_scripts)
    show.add_argument("artifact", help="its name or the beginning of it")
    for name, help_ in (("pin", "keep artifacts whatever happens"), ("unpin", "take a pin back")):
        add(name, _pin if name == "pin" else _unpin, help_).add_argument("artifact", nargs="+")
    rm = add("rm", _rm, "remove artifacts that no run is using", sure)
    rm.add_argument("artifact", nargs="+", help="its name or the beginning of it")
    rm.add_argument("--yes", action="store_true", help="don't ask")
    gc = add("gc", _gc, "list what can go, and remove it with --yes", sure)
    gc.add_argument("--yes", action="store_true", help="remove it")
    gc.add_argument("--older-than", type=_days, default=0.0, metavar="30d", help="not made or used for so long (d, h)")
    gc.add_argument("--keep-last", type=int, default=0, metavar="N", help="keep what the last N runs used")
    return parser


def _days(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([dhw]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 30d, 12h or 2w")
    return float(match[1]) * {"d": 1.0, "": 1.0, "h": 1 / 24, "w": 7.0}[match[2]]


def _ls(options: argparse.Namespace) -> None:
    entries = open_store(options.store).finished
    if options.json:
        _print_json([tables.plain(entry) for entry in entries])
    elif entries:
        shown = [entry for entry in entries if options.all or entry.kind not in tables.SMALL_PRINT]
        console.print(tables.listing(shown))
        if rest := tables.left_out(entries, shown):
            console.print(rest)
    else:
        console.print(f"The store {escape(str(options.store))} is empty.")


def _du(options: argparse.Namespace) -> None:
    values = tables.usage(open_store(options.store))
    if options.json:
        _print_json(values)
    else:
        console.print(tables.usage_table(values))


def _show(options: argparse.Namespace) -> None:
    entry = open_store(options.store).resolve(options.artifact)
    if entry.manifest is None or "key" not in entry.manifest and entry.kind != "signals":
        raise StoreError(
            "The artifact's manifest can't be read",
            where=entry.path,
            remedy="remove the artifact with `rm`; a run that needs it makes it anew",
        )
    values = tables.details(entry)
    if options.json:
        _print_json(values)
        return
    runs = values.pop("runs")
    command = values.pop("command") or "not known: no run on record used it"
    for name, value in tables.lines(values | {"bytes": f"{entry.bytes} ({tables.size(entry.bytes)})"}):
        console.print(f"{name}: {value}", markup=False, soft_wrap=True)
    for run in runs:
        state = "running" if run["live"] else "there" if run["exists"] else "gone"
        console.print(f"used by: {run['run']} ({state}, started {run['started']})", markup=False, soft_wrap=True)
    console.print(f"to make it again: {command}", markup=False, soft_wrap=True)


def _print_json(values: Any) -> None:
    print(json.dumps(values, indent=2, ensure_ascii=False))


def _chosen(options: argparse.Namespace) -> tuple[Inventory, list[Entry]]:
    inventory = open_store(options.store)
    entries = [inventory.resolve(name) for name in options.artifact]
    return inventory, list({entry.name: entry for entry in entries}.values())


def _pin(options: argparse.Namespace) -> None:
    inventory, entries = _chosen(options)
    with store_lock(inventory.root):
        for entry in entries:
            try:
                (entry.path / PINNED).touch()
            except OSError as error:
                raise unwritable(inventory.root, error) from error
            console.print(f"pinned {entry.name}")


def _unpin(options: argparse.Namespace) -> None:
    for entry in _chosen(options)[1]:
        (entry.path / PINNED).unlink(missing_ok=True)
        console.print(f"unpinned {entry.name}")


def _rm(options: argparse.Namespace) -> None:
    inventory, entries = _chosen(options)
    going = with_signals(entries, inventory)
    if not options.yes and all(obstacle(entry, inventory) is None for entry in going):
        console.print(tables.listing(going))
        if len(going) > len(entries):
            console.print("Signals are of no use without their teacher, so they go with it.")
        if not _confirmed():
            console.print("Nothing was removed.")
            return
    freed = sum(entry.bytes for entry in going)
    remove(inventory.root, [entry.name for entry in entries])
    console.print(f"removed {len(going)} of the store's folders, {tables.size(freed)}")


def _confirmed() -> bool:
    with suppress(EOFError):
        return input("Remove this? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _gc(options: argparse.Namespace) -> None:
    inventory = open_store(options.store)
    choice = {"older_than": options.older_than, "keep_last": options.keep_last}
    check_records(inventory.root)
    candidates = collect(inventory.root, **choice) if options.yes else collectable(inventory, **choice)
    if not candidates:
        console.print("Nothing can go: runs that exist used all that is there, or it is pinned or too young.")
        return
    freed = tables.size(sum(each.entry.bytes for each in candidates))
    console.print(tables.candidates_table(candidates))
    console.print(f"{freed} removed." if options.yes else f"{freed} can go. Add --yes to remove it.")


if __name__ == "__main__":
    sys.exit(main())
