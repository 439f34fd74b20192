"""What is printed is what was meant, whatever stands in people's names."""

import io
import sys

import pytest
from rich.console import Group
from rich.rule import Rule
from rich.table import Column, Table

from scd_lightning import progress
from scd_lightning.analysis.comparison.comparison_table import failure_lines
from scd_lightning.analysis.comparison.failed_jobs import Failure
from scd_lightning.analysis.run.run_table import run_line

NAMES = ["runs[/red]x", "[/INST]", "task.labels=[good,bad]", "[bold]", "[link=x]y", ":warning:", "a\\[b]", "[@click=f]"]


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
