"""All that is printed, and one shared live display: two at once would raise, and several bars tell more than those."""

import errno
import io
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from scd_lightning.redaction.cleaning import clean_text

T = TypeVar("T")

# Set, in the environment that a job's processes share, to the job's name where jobs run side by side.
JOB = "SCD_JOB"

# Seconds between two lines on what goes on, where there is no display.
_EVERY = 20

# By such signs a name could move the cursor or clear the screen: they are shown as JSON has them.
_CONTROL = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    r"""A text without secrets, with escapes in place of what controls a terminal; line breaks stay.

    >>> printable("runs/\x1b[2J\r")
    'runs/\\u001b[2J\\u000d'
    """
    return clean_text(text).translate(_CONTROL)


class Printer(Console):
    """Prints all text as `printable` has it, in tables and bars too."""

    @override
    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text), **how)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            # Whole: what a line's end or a cell's width has cut is no secret's text any more.
            shown = clean_text(renderable.plain)
            if shown != renderable.plain:
                renderable = renderable.copy()
                renderable.plain = shown
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else segment.text.translate(_CONTROL)
            yield segment if text == segment.text else Segment(text, segment.style)


# Names of people's folders, labels and settings are printed: brackets in them are no styles, and colons no emoji.
_LITERAL: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
_console = Printer(**_LITERAL)
# For tables in a file or a pipe, which have no width: long enough that no line is broken.
_wide = Printer(**_LITERAL, width=160)
_progress = Progress(
    TextColumn("{task.description}", markup=False),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[note]}", markup=False),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
    console=_console,
    transient=True,
)


class Bar:
    """A row of the shared display; of jobs side by side a line now and then."""

    def __init__(self, description: str, total: int) -> None:
        self._description, self._total, self._done = description, total, 0
        self._task = _progress.add_task(description, total=total, note="")
        self._told = time.monotonic()

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        """Moves the bar, and changes what stands beside it."""
        self._done += steps
        _progress.advance(self._task, steps)
        if note is not None:
            _progress.update(self._task, note=note)
        if JOB in os.environ and time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            say(f"  {self._description}: {self._done} of {self._total}{f', {note}' if note else ''}")


@contextmanager
def bar(description: str, total: int) -> Iterator[Bar]:
    """A row of the display for as long as the block runs; shown by process 0 on a terminal of its own only."""
    # The displays of jobs side by side would write over each other.
    visible = _console.is_terminal and _is_first() and JOB not in os.environ
    first = visible and not _progress.live.is_started
    if first:
        _progress.start()
    row = Bar(description, total)
    try:
        yield row
    finally:
        _progress.remove_task(row._task)
        if first:
            _progress.stop()


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yields the items and moves a bar along."""
    with bar(description, total) as row:
        for item in items:
            yield item
            row.advance()


def say(message: str) -> None:
    """Prints one line above the display, from process 0, however long it is."""
    if _is_first():
        _write(f"{prefix()}{message}", _console, soft_wrap=True)


def show(what: RenderableType, *, wide: bool = False) -> None:
    """Prints a table or the like.

    Args:
        what: What to show; all text in it is printed as it is.
        wide: Whether it may be wider than usual where there is no terminal.
    """
    _write(what, _wide if wide and not _console.is_terminal else _console, crop=False)


def outlive_readers() -> None:
    """Has all that this process prints get lost once nobody can read it: a pipe without a reader, a closed terminal.

    By itself Python would raise an error at the next line, and so end a training that has hours to go.
    """
    for number, name in enumerate(("stdout", "stderr"), 1):
        stream = getattr(sys, name)
        below = getattr(stream, "buffer", None)
        raw = getattr(below, "raw", below)  # Without a buffer where PYTHONUNBUFFERED is set.
        # Else somebody has put another stream there, or it is one of these already.
        if isinstance(stream, io.TextIOWrapper) and type(raw) is io.FileIO and raw.fileno() == number:
            stream.flush()
            setattr(sys, name, _outliving(stream, number, buffered=raw is not below))


def _outliving(stream: io.TextIOWrapper, number: int, *, buffered: bool) -> io.TextIOWrapper:
    raw = _Outliving(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Outliving(io.FileIO):
    """Writes to nowhere once there is no reader any more."""

    @override
    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return len(content)


def complain(message: str) -> None:
    """Prints to standard error what has gone wrong."""
    print(printable(message), file=sys.stderr, flush=True)


def ask(question: str) -> str:
    """Prints a question and waits for its answer.

    Raises:
        EOFError: Nobody is there to answer.
    """
    return input(printable(question))


def prefix() -> str:
    """What a line begins with that says which of the jobs side by side it is of; empty for a job on its own."""
    name = os.environ.get(JOB)
    return f"{name}: " if name else ""


def _write(what: RenderableType, console: Console, **how: Any) -> None:
    # A folder's name may hold what the terminal's encoding lacks, or bytes that are in none: no reason to end a run.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console.print(what, **how)


def _is_first() -> bool:
    # By the environment that every launcher sets: this module is there before torch is.
    return os.environ.get("RANK", "0") == "0"
