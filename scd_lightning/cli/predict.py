"""`scd predict STUDENT TEXT ...`: a student's answers to texts, or to the rows of a file."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scd_lightning.cli.outcome import command, parser_of
from scd_lightning.cli.student_options import add_student, check_folder, check_student, read_rows
from scd_lightning.cli.sure_options import add_sure, asked, check_sure, open_words, tell_threshold
from scd_lightning.errors import ConfigError, exit_code
from scd_lightning.progress import bar, say

if TYPE_CHECKING:
    from scd_lightning.data.rows import Row
    from scd_lightning.use.answers_given import Given
    from scd_lightning.use.selective import Selective
    from scd_lightning.use.student import Student

_EPILOG = """STUDENT is the folder of a run, or the folder student/ that a run has left.

examples:
  {program} outputs/2026-11-25/10-15-00 "Jane Doe joined the council."
  {program} student --file rows.jsonl --output answers.jsonl     goes on where it was stopped
  {program} student --file rows.csv --columns text=body          the texts are in the column body
  {program} student --file rows.jsonl --at-least 0.95            leaves open what is less sure
"""


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(
        "predict",
        "Answers texts by a student that was distilled here, as it was evaluated.",
        _EPILOG,
    )
    add_student(parser)
    add_sure(parser)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text to answer")
    parser.add_argument("--file", type=Path, help="rows to answer, as JSON, CSV or Parquet; labels in it are not read")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where answers to the rows go, as JSON lines")
    parser.add_argument("--overwrite", action="store_true", help="replace that file where it is there")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    return parser


def _predict(options: argparse.Namespace) -> int:
    _check(options)
    check_folder(options)
    check_sure(options)
    return _texts(options) if options.file is None else _rows(options)


def _check(options: argparse.Namespace) -> None:
    """Refuses what can't work before anything is loaded."""
    if bool(options.texts) == (options.file is not None):
        raise ConfigError(
            "There is nothing to answer" if not options.texts else "There are texts and a file to answer",
            where="TEXT, --file",
            expected="texts, or a file of rows",
        )
    if options.output is not None and options.file is None:
        raise ConfigError("Texts of the command line are answered there", where="--output", remedy="leave it out")
    check_student(options)
    if options.output is not None:
        from scd_lightning.use.output import check_free

        check_free(options.output, overwrite=options.overwrite)


def _texts(options: argparse.Namespace) -> int:
    given = asked(options).predict(options.texts, batch=options.batch)
    for each in given:
        say(_line(each.row()) if options.json else _shown(each))
    return _code([each.row() for each in given])


def _rows(options: argparse.Namespace) -> int:
    rows = read_rows(options)
    student = _told(options)
    if options.output is not None:
        return _into_file(options, student, rows)
    answers = []
    for part in student.answer(rows, options.batch):
        for each in part:
            answers.append(each.row())
            say(_line(answers[-1]) if options.json else f"{each.id}: {_shown(each)}")
    return _code(answers)


def _told(options: argparse.Namespace) -> "Student | Selective":
    """Who is asked; of a threshold it is said what it takes, unless what is printed is for programs."""
    student = asked(options)
    if options.at_least is not None and not options.json:
        from scd_lightning.use.selective import Selective

        assert isinstance(student, Selective)
        tell_threshold(student)
    return student


def _into_file(options: argparse.Namespace, student: "Student | Selective", rows: "Sequence[Row]") -> int:
    """Answers rows into the file, chunk by chunk; those that an earlier command has answered are not asked again."""
    from scd_lightning.use.output import Output

    started = time.perf_counter()
    with closing(Output(options.output, student.digest(rows), overwrite=options.overwrite)) as output:
        done = len(output.rows)
        if done:
            say(f"goes on after {done} of {len(rows)} rows")
        with bar("rows", len(rows)) as progress:
            progress.begin(done)
            for part in student.answer(rows[done:], options.batch):
                output.add([each.row() for each in part])
                progress.advance(len(part))
        output.finish()
    _summarize(output.rows, done, time.perf_counter() - started)
    say(f"answers: {options.output}")
    return _code(output.rows)


def _summarize(answers: Sequence[Mapping[str, Any]], before: int, seconds: float) -> None:
    """Says what the file holds, how much of it an earlier command had made, and how long this one took."""
    refused = [each for each in answers if "error" in each]
    parts = [f"{len(answers) - len(refused):,} rows answered in {seconds:.0f} s"]
    if before:
        parts.append(f"{before:,} of all were there before")
    if cut := sum("shortened" in each for each in answers):
        parts.append(f"{cut:,} of them cut to what the student can read")
    if words := open_words(answers):
        parts.append(words)
    if refused:
        parts.append(f"{len(refused):,} can't be used; the first, {refused[0]['id']}: {refused[0]['error']}")
    say("; ".join(parts))


def _line(answer: Mapping[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)


def _shown(given: "Given") -> str:
    """An answer for people."""
    row: dict[str, Any] = given.row()
    if given.error is not None:
        return f"no answer: {given.error}"
    if "entities" in row:
        found = [f"{each['label']}: {each['text']}{_place(each)}" for each in row["entities"]]
        found += [f"not sure: {each['label']}: {each['text']}{_place(each)}" for each in row.get("unsure", ())]
        return "\n".join(found) or str(given.answer)
    said = str(given.answer) if given.guess is None else f"not sure: {given.guess}"
    return f"{said}  ({given.probability:.3f})" if given.probability is not None else said


def _place(entity: dict[str, Any]) -> str:
    return "" if entity["start"] is None else f"  [{entity['start']}:{entity['end']}]"


def _code(answers: Sequence[Mapping[str, Any]]) -> int:
    """2 where no row could be used."""
    if answers and all("error" in each for each in answers):
        return exit_code(ConfigError("No row could be used"))
    return 0


main = command(_parser, _predict)
