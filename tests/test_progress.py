"""What is printed is what was meant, whatever stands in people's names."""

import io
import json
import sys
import unicodedata
import warnings

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


@pytest.mark.parametrize("name", NAMES)
def test_bars_show_names_as_they_are(name):
    with progress.bar(name, 2) as row:
        row.advance(note=name)
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


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_controls_it_from_a_bar(name):
    file = io.StringIO()
    with progress.bar(name, 2) as row:
        row.advance(note=name)
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
