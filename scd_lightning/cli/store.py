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

from scd_lightning.analysis.formatting import disk_size
from scd_lightning.cli import store_tables as tables
from scd_lightning.cli.outcome import outcome
from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import StoreError
from scd_lightning.progress import ask, say, show
from scd_lightning.store.collection import collect, collectable, left_alone, obstacle, remove, with_signals
from scd_lightning.store.inventory import Entry, Inventory, open_store
from scd_lightning.store.layout import IN_ARTIFACT, PINNED, unwritable
from scd_lightning.store.locks import store_lock
from scd_lightning.store.registry import check_records
from scd_lightning.store.removal import delete


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return outcome(lambda: options.run(options))
    except BrokenPipeError:  # Its reader, such as head, had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=" ".join(program("store")), description=__doc__.partition(": ")[2])
    common = argparse.ArgumentParser(add_help=False)
    default = Path(os.environ.get("SCD_STORE") or "store")
    # Before the command it is taken too; the command's own must then not set it back to the default.
    for each, unset in ((parser, default), (common, argparse.SUPPRESS)):
        help_ = "its folder; else SCD_STORE, else ./store"
        each.add_argument("--store", type=Path, default=unset, metavar="DIR", help=help_)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, run: Any, help_: str, *, for_scripts: bool = False) -> argparse.ArgumentParser:
        """Adds a command, which `run` answers to; one that is for scripts too takes --json."""
        command = commands.add_parser(name, help=help_, description=help_, parents=[common])
        command.set_defaults(run=run)
        if for_scripts:
            command.add_argument("--json", action="store_true", help="print JSON")
        return command

    ls = add("ls", _ls, "list what is there, how big it is and which runs used it", for_scripts=True)
    ls.add_argument("--all", action="store_true", help="evaluations, signals and tokenizers too")
    add("du", _du, "add up sizes by kind", for_scripts=True)
    show = add("show", _show, "tell everything about one artifact", for_scripts=True)
    show.add_argument("artifact", help="its name or the beginning of it")
    add("pin", _pin, "keep artifacts whatever happens").add_argument("artifact", nargs="+")
    add("unpin", _unpin, "take a pin back").add_argument("artifact", nargs="+")
    rm = add("rm", _rm, "remove artifacts that no run is using")
    rm.add_argument("artifact", nargs="+", help="its name or the beginning of it")
    rm.add_argument("--yes", action="store_true", help="don't ask")
    gc = add("gc", _gc, "list what can go, and remove it with --yes")
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
        show(tables.listing(shown), wide=True)
        if rest := tables.left_out(entries, shown):
            show(rest, wide=True)
    else:
        say(f"The store {options.store} is empty.")


def _du(options: argparse.Namespace) -> None:
    values = tables.usage(open_store(options.store))
    if options.json:
        _print_json(values)
    else:
        show(tables.usage_table(values), wide=True)


def _show(options: argparse.Namespace) -> None:
    entry = open_store(options.store).resolve(options.artifact)
    if entry.manifest is None or "key" not in entry.manifest and entry.kind != "signals":
        removal = command_of([*program("store"), "rm", entry.name, f"--store={options.store}"])
        raise StoreError(
            "The artifact's manifest can't be read",
            where=entry.path,
            remedy=f"`{removal}` removes the artifact; a run that needs it makes it anew",
        )
    values = tables.details(entry)
    if options.json:
        _print_json(values)
        return
    runs = values.pop("runs")
    command = values.pop("command") or "not known: no run on record used it"
    for name, value in tables.lines(values | {"bytes": f"{entry.bytes} ({disk_size(entry.bytes)})"}):
        say(f"{name}: {value}")
    for run in runs:
        state = "running" if run["live"] else "there" if run["exists"] else "gone"
        say(f"used by: {run['run']} ({state}, started {run['started']})")
    say(f"to make it again: {command}")


def _print_json(values: Any) -> None:
    say(json.dumps(values, indent=2, ensure_ascii=False))


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
            say(f"pinned {entry.name}")


def _unpin(options: argparse.Namespace) -> None:
    for entry in _chosen(options)[1]:
        delete(entry.path / PINNED, IN_ARTIFACT, options.store)
        say(f"unpinned {entry.name}")


def _rm(options: argparse.Namespace) -> None:
    inventory, entries = _chosen(options)
    going = with_signals(entries, inventory)
    if not options.yes and all(obstacle(entry, inventory) is None for entry in going):
        show(tables.listing(going), wide=True)
        if len(going) > len(entries):
            say("Signals are of no use without their teacher, so they go with it.")
        if not _confirmed():
            say("Nothing was removed.")
            return
    freed = sum(entry.bytes for entry in going)
    remove(inventory.root, [entry.name for entry in entries])
    say(f"removed {len(going)} of the store's folders, {disk_size(freed)}")


def _confirmed() -> bool:
    with suppress(EOFError):
        return ask("Remove this? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _gc(options: argparse.Namespace) -> None:
    inventory = open_store(options.store)
    choice = {"older_than": options.older_than, "keep_last": options.keep_last}
    check_records(inventory.root)
    candidates = collect(inventory.root, **choice) if options.yes else collectable(inventory, **choice)
    for path, reason in left_alone(inventory).items():
        say(f"left alone: {path}: {reason}")
    if not candidates:
        say("Nothing can go: runs that exist used all that is there, or it is pinned or too young.")
        return
    freed = disk_size(sum(each.entry.bytes for each in candidates))
    show(tables.candidates_table(candidates), wide=True)
    say(f"{freed} removed." if options.yes else f"{freed} can go. Add --yes to remove it.")
