"""What is printed is what was meant, whatever stands in people's names."""

import io
import json
import sys
import unicodedata
import warnings
from functools import partial

import pytest
from rich.console import Group
from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

from scd_lightning import progress
from scd_lightning.analysis.comparison.comparison_table import failure_lines
from scd_lightning.analysis.comparison.failed_jobs import Failure
from scd_lightning.analysis.run.run_table import run_line
from scd_lightning.cli.quiet import quiet

NAMES = ["runs[/red]x", "[/INST]", "task.labels=[good,bad]", "[bold]", "[link=x]y", ":warning:", "a\\[b]", "[@click=f]"]
HOSTILE = ["a\x1b[2Jb", "\x1b]0;title\x07", "over\rwritten", "back\b\b", "\x9b31m", "\x00"]


class Clock:
    """Seconds."""

    now = 1000.0


class Place:
    """A run that has two phases, and an hour to go."""

    closed = 0

    def place(self, bar: progress.Bar) -> str:
        return f"phase 1 of 2, {bar.description}"

    def left(self, bar: progress.Bar) -> str:
        return "about 1 h left" if bar.done > 1 else ""

    def close(self, bar: progress.Bar) -> None:
        self.closed = bar.done


def table(name: str) -> Table:
    """A table with a name in each of the places that a table has."""
    made = Table(Column(name, footer=name), title=name, caption=name, show_footer=True)
    made.add_row(name)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(capsys, name):
    progress.say(name)
    progress.show(name)
    progress.show(table(name), wide=True)
    progress.show(Group(name, Rule(name)))
    progress.show(Group(*failure_lines([Failure(name, "ConfigError", name, name)])), wide=True)
    out = capsys.readouterr().out
    assert out.count(name) == 12, out


@pytest.fixture
def on_terminal(monkeypatch):
    """A display, but for what would be drawn of it."""
    monkeypatch.setattr(progress, "_console", progress.Printer(file=io.StringIO(), force_terminal=True))
    monkeypatch.setattr(progress._progress.live, "start", lambda **_: None)
    monkeypatch.setattr(progress, "_pace", progress.Pace())


@pytest.fixture
def clock(monkeypatch):
    """What the pace of lines goes by: the test sets its `now`."""
    clock = Clock()
    monkeypatch.setattr(progress, "_pace", progress.Pace(lambda: clock.now))
    return clock


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize("name", NAMES)
def test_bars_show_names_as_they_are(name):
    with progress.bar(name, 2) as row:
        row.advance(facts=lambda: name)
        shown = progress._progress.get_renderable()
        file = io.StringIO()
        progress.Console(file=file, width=160).print(shown)
    assert file.getvalue().count(name) == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_controls_the_terminal(capsys, monkeypatch, name):
    shown = json.dumps(name, ensure_ascii=False)[1:-1].replace("\\b", "\\u0008").replace("\\r", "\\u000d")
    shown = shown.replace("\x9b", "\\u009b")
    progress.say(name)
    progress.show(table(name), wide=True)
    progress.show(Group(name, Rule(name), Text(name)))
    progress.show(Group(*failure_lines([Failure(name, "ConfigError", name, name)])), wide=True)
    progress.complain(name)
    monkeypatch.setattr("builtins.input", lambda question: print(question))
    progress.ask(name)
    out, error = capsys.readouterr()
    # Rich leaves some of them out of what is a text of its own.
    assert (out + error).count(shown) == (10 if set(name) & set("\a\b\r") else 14)
    assert not {sign for sign in out + error if unicodedata.category(sign) == "Cc"} - {"\n"}


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_controls_it_from_a_bar(name):
    file = io.StringIO()
    with progress.bar(name, 2) as row:
        row.advance(facts=lambda: name)
        progress.Printer(file=file, width=160, markup=False, highlight=False).print(progress._progress.get_renderable())
    assert not {sign for sign in file.getvalue() if unicodedata.category(sign) == "Cc"} - {"\n"}


def test_styles_are_shown_nevertheless():
    file = io.StringIO()
    printer = progress.Printer(file=file, force_terminal=True, color_system="standard")
    printer.print(Text("\x1b[0m", style="red"))
    assert file.getvalue() == "\x1b[31m\\u001b[0m\x1b[0m\n"


@pytest.mark.parametrize("file", [progress.__file__, "elsewhere.py"])
def test_nor_does_a_warning(file):
    quiet()
    text = warnings.formatwarning("label \x1b[2J", UserWarning, file, 1, "")
    assert "\\u001b[2J" in text
    assert "\x1b" not in text


def test_a_runs_line_keeps_its_method(capsys):
    results = {"primary_metric": "[f1]", "metrics": {}, "method": "td[/b]", "seed": 0}
    progress.say(run_line(results | {"n": {}}))
    assert "method td[/b], seed 0: [f1]" in capsys.readouterr().out


def test_what_the_terminal_cannot_show_ends_no_run(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    progress.say("report: データ/a\udcff")
    sys.stdout.flush()
    assert raw.getvalue().decode() == "report: \\u30c7\\u30fc\\u30bf/a\\udcff\n"


def told(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_without_a_display_a_line_tells_how_far_work_is_once_nothing_was_said_for_long(clock, capsys):
    with progress.within(place := Place()), progress.bar("epochs", 9) as row:
        for seconds, ended in ((59, True), (1, False), (0, True), (59, True), (100, False), (21, False), (0, False)):
            clock.now += seconds
            row.advance(facts=lambda: f"after {clock.now - 1000:.0f} s", ended=ended)
    assert told(capsys) == [
        "  phase 1 of 2, epochs: after 60 s; about 1 h left",
        "  phase 1 of 2, epochs: after 240 s; about 1 h left",
    ]
    assert place.closed == 7


def test_what_is_soon_over_is_told_in_no_line(clock, capsys):
    for _ in range(10):
        clock.now += 30
        progress.say("a phase is over")
        for _ in progress.track("ab", "soon over", 2):
            clock.now += 10
    assert told(capsys) == ["a phase is over"] * 10


def test_work_without_facts_tells_its_steps_and_what_is_not_to_be_told_is_never_asked(clock, capsys):
    with progress.bar("rows", 3) as row:
        row.advance(facts=lambda: pytest.fail("asked"))
        clock.now += 180
        row.advance()
    assert told(capsys) == ["  rows: 2 of 3"]
    with progress.bar("rows", 3, told=False) as row:
        clock.now += 180
        row.advance(facts=lambda: pytest.fail("asked"))


def test_lines_of_a_sweep_name_their_job_once(clock, capsys, monkeypatch):
    monkeypatch.setenv(progress.SWEPT, "job 3")
    for beside in (False, True):
        if beside:
            monkeypatch.setenv(progress.JOB, "job 3")
        with progress.bar("rows", 2) as row:
            clock.now += 180
            row.advance()
    assert told(capsys) == ["  job 3, rows: 1 of 2", "job 3:   rows: 1 of 2"]


def test_other_processes_than_the_first_look_at_nothing(clock, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with progress.bar("rows", 2) as row:
        clock.now += 1000
        row.advance(facts=lambda: pytest.fail("asked"))
    assert told(capsys) == []


@pytest.mark.usefixtures("on_terminal")
def test_on_a_terminal_all_of_it_stands_below_the_bar(clock):
    with progress.within(Place()), progress.bar("epochs", 4) as row:
        row.begin(2)
        for facts in ("loss 0.5", "looked at too often", "loss 0.4"):
            clock.now += 0.6
            row.advance(0, partial(str, facts))
            file = io.StringIO()
            progress.Printer(file=file, width=160).print(progress._progress.get_renderable())
            shown = [" ".join(line.split()) for line in file.getvalue().splitlines()]
            assert shown[0].startswith("phase 1 of 2, epochs")
            assert "2/4" in shown[0]
            assert shown[1] == f"{'loss 0.4' if facts == 'loss 0.4' else 'loss 0.5'}; about 1 h left"
