"""`scd export STUDENT --output FOLDER --dtype int8`: a student in fewer bits, and which answers change by that."""

import argparse
from pathlib import Path

from scd_lightning.cli.outcome import command, parser_of
from scd_lightning.cli.student_options import add_student, check_folder, check_student, load_student, read_rows
from scd_lightning.progress import say

_EPILOG = """STUDENT is the folder of a run, or the folder student/ that a run has left. In a run's folder, answers are
held against those that were evaluated; elsewhere, and for tasks with several fields, --file names rows to compare on.

examples:
  {program} outputs/2026-11-25/10-15-00 --output small --dtype int8
  {program} student --output half --dtype bfloat16 --file rows.jsonl
  {program} outputs/2026-11-25/10-15-00 --output teacher --model teacher     to be asked by --fallback, say
"""


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("export", "Writes a student's weights in fewer bits.", _EPILOG)
    add_student(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the student goes")
    # In words of its own: what the weights may be is known to a module that loads torch.
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "int8"), default="bfloat16", help="of the weights")
    parser.add_argument(
        "--model", choices=("student", "teacher"), default="student", help="which of a run's; the teacher goes as it is"
    )
    parser.add_argument("--file", type=Path, help="rows to compare answers on; labels in it are not read")
    return parser


def _export(options: argparse.Namespace) -> None:
    check_student(options)
    check_folder(options)
    from scd_lightning.models.lower_precision import check_precision
    from scd_lightning.use.evaluated import evaluated
    from scd_lightning.use.exporting import check_target, export_in, hold_against, write_card
    from scd_lightning.use.student import Student

    check_target(options.output, "--output")
    if options.model == "teacher":
        from scd_lightning.cli.export_teacher import export_teacher

        export_teacher(options.student, options.output)
        return
    check_precision(options.dtype, "--dtype")
    rows = None if options.file is None else read_rows(options)
    student = load_student(options)
    source, size = student.folder, _size(student.folder)
    before: list[str | None]
    if rows is None:
        rows, before = evaluated(options.student, student.form) or ([], [])
    else:
        asked = (each for part in student.answer(rows, options.batch, probabilities=False) for each in part)
        before = [each.answer for each in asked]
    export_in(student, options.dtype, options.output)
    lower = Student.load(options.output, options.device, where="--output")
    held = None
    if rows:
        held = hold_against(lower, rows, before, options.batch, labelled=options.file is None)
    write_card(lower, options.dtype, held, source)
    say(f"weights: {size / 1e6:.1f} MB -> {_size(options.output) / 1e6:.1f} MB")
    say(held.sentence() if held is not None else "Answers were not compared: name rows by --file.")
    say(f"student: {options.output}")


def _size(folder: Path) -> int:
    """Bytes of the weights."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


main = command(_parser, _export)
