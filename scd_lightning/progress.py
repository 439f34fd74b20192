"""All that is printed, and how far long work is: on a terminal by one shared live display, else by a line at times.

Two displays at once would raise, and several bars tell more than those.
"""

import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from scd_lightning.redaction.cleaning import clean_text

T = TypeVar("T")

# Set, in the environment that a job's processes share, to the job's name where jobs run side by side.
JOB = "SCD_JOB"
# Likewise, to the name of any job of a sweep: where jobs follow one another, only lines on what goes on need it.
SWEPT = "SCD_SWEPT_JOB"

# Without a display, a line tells what goes on if there was none for so many seconds: where a part of the work, such as
# an epoch, has just ended, and anywhere.
_SOON, _LATE = 60, 180
# On one, what stands beside a bar is looked up anew no more often than that: it may have to wait for a GPU.
_ANEW = 1

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
if _console.width < 1:  # As COLUMNS=0 says, and nothing would be printed.
    _console.width = 80
# For tables in a file or a pipe, which have no width: long enough that no line is broken.
_wide = Printer(**_LITERAL, width=160)


class _Display(Progress):
    """Rows of bars, and below them what there is to tell of each: beside it a terminal has no room."""

    @override
    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (Text(f"  {task.fields['note']}") for task in self.tasks if task.fields["note"])


_progress = _Display(
    TextColumn("{task.description}", markup=False),
    BarColumn(20),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
    console=_console,
    transient=True,
)


class Pace:
    """When it is time again to tell what goes on.

    Args:
        clock: Gives seconds.

    Attributes:
        told: When something was printed last: whoever has read it knows that the run lives.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock
        self.told = clock()
        self._looked = self.told - _ANEW

    def is_time(self, *, shown: bool, ended: bool) -> bool:
        """Whether the display, or else a line, is due: that one soon where a part of the work has just ended."""
        if not shown:
            return self.now() - self.told >= (_SOON if ended else _LATE)
        if self.now() - self._looked < _ANEW:
            return False
        self._looked = self.now()
        return True


class Whole(Protocol):
    """What long work is a part of."""

    def place(self, bar: "Bar") -> str:
        """Where in the whole a bar's work stands, and what it is called."""

    def left(self, bar: "Bar") -> str:
        """How long the whole will still take, in words; "" where that can't be known."""

    def close(self, bar: "Bar") -> None:
        """Learns how long the work took."""


_pace = Pace()
_whole: Whole | None = None


class Bar:
    """How far some work is: a row of the shared display, or a line now and then.

    Args:
        description: What the work is called.
        total: Its steps.
        shown: Whether there is a display.
        silent: Whether nothing is told of it.

    Attributes:
        done: Steps so far.
        before: Those of them that were done before this bar was made.
    """

    def __init__(self, description: str, total: int, *, shown: bool, silent: bool) -> None:
        self.description, self.total, self.done, self.before = description, total, 0, 0
        self._shown, self._silent = shown, silent or not _is_first()
        self._task = _progress.add_task(self._place, total=total, note="")
        self._since = _pace.now()

    def begin(self, done: int) -> None:
        """Goes on where earlier work ended."""
        self.done, self.before, self._since = done, done, _pace.now()
        _progress.update(self._task, completed=done)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return _pace.now() - self._since

    def advance(self, steps: int = 1, facts: Callable[[], str] | None = None, *, ended: bool = False) -> None:
        """Moves the bar; where it is time, also tells what else there is to tell.

        Args:
            steps: By how many steps.
            facts: Gives it in words; asked only where it is told.
            ended: Whether a part of the work has just ended.
        """
        self.done += steps
        _progress.advance(self._task, steps)
        if self._silent or not _pace.is_time(shown=self._shown, ended=ended):
            return
        found = facts() if facts is not None else "" if self._shown else f"{self.done} of {self.total}"
        found = "; ".join(filter(None, [found, "" if _whole is None else _whole.left(self)]))
        if self._shown:
            _progress.update(self._task, note=found)
            return
        job = "" if prefix() else os.environ.get(SWEPT, "")
        say(f"  {job and f'{job}, '}{self._place}: {found}")

    @property
    def _place(self) -> str:
        return self.description if _whole is None else _whole.place(self)


@contextmanager
def within(whole: Whole) -> Iterator[None]:
    """Has the bars of a block tell what they are a part of."""
    global _whole
    before, _whole = _whole, whole
    try:
        yield
    finally:
        _whole = before


@contextmanager
def bar(description: str, total: int, *, told: bool = True) -> Iterator[Bar]:
    """How far the work of the block is, as process 0 alone tells.

    Args:
        description: What it is called.
        total: Its steps.
        told: Whether lines may tell it where there is no terminal: not between those of an output that programs read.
    """
    # The displays of jobs side by side would write over each other.
    visible = _console.is_terminal and _is_first() and JOB not in os.environ
    first = visible and not _progress.live.is_started
    if first:
        _progress.start()
    row = Bar(description, total, shown=visible, silent=not (told or visible))
    try:
        yield row
        if _whole is not None:
            _whole.close(row)
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
    _pace.told = _pace.now()


def _is_first() -> bool:
    # By the environment that every launcher sets: this module is there before torch is.
    return os.environ.get("RANK", "0") == "0"
