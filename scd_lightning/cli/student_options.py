"""What all commands take that ask a student: which one, rows, and what computes."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from scd_lightning.errors import ConfigError, DataError
from scd_lightning.progress import say

if TYPE_CHECKING:
    from scd_lightning.data.rows import Row
    from scd_lightning.use.student import Student


def add_student(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of commands that take rows, too; `--file` is the command's own."""
    add_model(parser)
    parser.add_argument("--columns", nargs="+", default=[], metavar="NAME=COLUMN", help="columns of other names")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds which student is asked, and how it computes."""
    parser.add_argument("student", type=Path, metavar="STUDENT", help="folder of a run or of its student")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="rows that are answered at once (32)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="what computes (auto)")


def check_student(options: argparse.Namespace) -> None:
    """Refuses arguments that can't be used.

    Raises:
        ConfigError: One can't.
    """
    check_model(options)
    for pair in options.columns:
        if not all(pair.partition("=")):
            raise ConfigError("A column is not named", where="--columns", got=pair, expected="NAME=COLUMN")


def check_model(options: argparse.Namespace) -> None:
    """Refuses a batch of nothing.

    Raises:
        ConfigError: It is one.
    """
    if options.batch < 1:
        raise ConfigError("So many rows can't be answered at once", where="--batch", got=options.batch, expected=">= 1")


def check_folder(options: argparse.Namespace) -> None:
    """Refuses a folder that is that of no student, before anything of it is loaded.

    Raises:
        ModelError: It is none.
    """
    # Torch and transformers are loaded here: what is wrong with arguments was said before.
    from scd_lightning.use.form import find_student

    find_student(options.student, "STUDENT")


def load_student(options: argparse.Namespace) -> "Student":
    """The student, on its device."""
    from scd_lightning.cli.quiet import quiet
    from scd_lightning.use.student import Student

    quiet()
    return Student.load(options.student, options.device, where="STUDENT")


def read_rows(options: argparse.Namespace) -> "list[Row]":
    """The rows of `--file`, under the names that the student's task has for their columns.

    Raises:
        DataError: There is no such file, or it can't be read.
    """
    from scd_lightning.data.bad_rows import STRICT
    from scd_lightning.data.converters.columns import RenameColumns
    from scd_lightning.data.files import read_only_file
    from scd_lightning.data.rows import shorten
    from scd_lightning.use.form import INPUT

    notes: list[str] = []
    rows = read_only_file(options.file, INPUT, "--file", STRICT, notes)
    for note in notes:
        say(note)
    names = {column: name for name, _, column in (pair.partition("=") for pair in options.columns)}
    renaming = RenameColumns(names)
    if rows and (idle := renaming.idle(rows)):
        raise DataError(
            "No row has a column that is named",
            where=f"--columns, {options.file}",
            got=", ".join(f"{names[column]}={column}" for column in idle),
            expected=f"columns of the file: {', '.join(map(shorten, rows[0].values))}",
        )
    return [renaming.convert(row) for row in rows] if names else rows
