import base64
import csv
import io
import json
import re
import shutil

import pytest
from rich.console import Console

from scd_lightning.analysis.comparison import compare
from scd_lightning.analysis.comparison_page import write_comparison
from scd_lightning.analysis.comparison_table import comparison_table


def shown(comparison, width: int = 160) -> str:
    console = Console(width=width, record=True)
    console.print(comparison_table(comparison))
    return console.export_text()


@pytest.fixture
def sweep(full_run):
    """Two seeds of two methods, each a copy of a full run; a td student's answers are the anchor's."""
    runs = []
    for method in ("td", "scd_aw"):
        for seed in (0, 1):
            folder = shutil.copytree(full_run, full_run.parent / "sweep" / f"{method}-{seed}")
            results = json.loads((folder / "results.json").read_text()) | {"method": method, "seed": seed}
            (folder / "results.json").write_text(json.dumps(results))
            (folder / "report.html").write_text("a report")
            if method == "td":
                shutil.copy(folder / "predictions" / "anchor.jsonl", folder / "predictions" / "student.jsonl")
            runs.append(folder)
    return runs


@pytest.fixture
def page(sweep):
    folder = sweep[0].parent
    return write_comparison(compare(sweep), folder).read_text(encoding="utf-8")


def downloads(page: str) -> dict[str, list[dict[str, str]]]:
    links = re.findall(r'download="([^"]+)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    texts = {name: base64.b64decode(content).decode("utf-8-sig") for name, content in links}
    return {name: list(csv.DictReader(io.StringIO(text))) for name, text in texts.items()}


def test_page_needs_nothing_but_itself(page):
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith(("#", "data:", "td-", "scd_aw-")) for link in links)
    assert not re.search(r"url\((?!#)|@import", page)
    assert page.count("<svg") == 2


def test_every_seed_is_there_with_a_link_to_its_report(page):
    for name in ("td-0", "td-1", "scd_aw-0", "scd_aw-1"):
        assert f'<a href="{name}/report.html">run {name}</a>' in page


def test_links_are_relative_to_where_the_page_is(sweep, tmp_path):
    path = write_comparison(compare(sweep), tmp_path / "some where" / "else")
    assert 'href="../../sweep/td-0/report.html"' in path.read_text(encoding="utf-8")


def test_json_says_what_the_comparison_says(sweep, page):
    saved = json.loads((sweep[0].parent / "comparison.json").read_text())
    assert saved == compare(sweep).to_dict()
    assert [run["folder"] for row in saved["settings"][0]["rows"] for run in row["runs"]] == [r.name for r in sweep]


def test_tables_can_be_downloaded(page):
    tables = downloads(page)
    assert list(tables) == ["runs.csv", "methods.csv", "differences.csv", "schedules.csv", "costs.csv"]
    assert [(row["method"], row["seed"]) for row in tables["runs.csv"]] == [
        ("td", "0"),
        ("td", "1"),
        ("scd_aw", "0"),
        ("scd_aw", "1"),
    ]
    assert tables["runs.csv"][0]["metrics.student.f1"] == "0.842"
    assert tables["differences.csv"][0]["seeds"] == "0 1"


def test_text_of_runs_stays_text(make_run):
    run = make_run("run", method="<b>mine</b>")
    page = write_comparison(compare([run]), run.parent).read_text(encoding="utf-8")
    assert "<b>" not in page


def test_costs_count_what_runs_share_once(sweep):
    for run in sweep:
        costs = {"teacher_sft": {"seconds": 10.0, "artifacts": {"teacher-a": 10.0}, "reused": True}}
        costs["distill"] = {"seconds": 5.0, "artifacts": {f"student-{run.name}": 5.0}, "reused": False}
        (run / "costs.json").write_text(json.dumps(costs))
    page = write_comparison(compare(sweep), sweep[0].parent).read_text(encoding="utf-8")
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)]
    assert ["td", "10.0 s", "5.0 s", "15.0 s"] in rows
    assert ["all 4 runs", "10.0 s", "20.0 s", "30.0 s"] in rows
    assert ["parts made", "1", "4", "5"] in rows


def test_terminal_shows_each_method_and_the_verdict(sweep):
    text = shown(compare(sweep))
    (line,) = (line.split() for line in text.splitlines() if line.split()[:1] == ["td"])
    assert line[:2] == ["td", "2"]
    assert "the first of 2 that are equally good on the validation split" in " ".join(text.split())
    assert "Mean ± sample standard deviation over seeds." in text


def test_failures_are_shown_as_they_are(make_run, tmp_path):
    failed = tmp_path / "failed"
    failed.mkdir()
    (failed / "failure.json").write_text(json.dumps({"type": "DataError", "message": "A row lacks [field]."}))
    comparison = compare([make_run("run"), failed])
    assert "failed: DataError: A row lacks [field]." in shown(comparison)
    assert "A row lacks [field]." in write_comparison(comparison, tmp_path).read_text(encoding="utf-8")


def test_a_sweep_without_a_finished_run(tmp_path):
    assert "No run finished." in shown(compare([]))
    assert "No run finished." in write_comparison(compare([]), tmp_path).read_text(encoding="utf-8")


def test_what_did_not_finish_is_told_at_the_top_and_with_its_reason(make_run, tmp_path):
    (tmp_path / "failed").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "failed" / "failure.json").write_text(json.dumps({"type": "DataError", "message": "A row lacks x."}))
    comparison = compare([make_run("run"), tmp_path / "failed", tmp_path / "cut"])
    page = write_comparison(comparison, tmp_path).read_text()
    assert '<a href="#unfinished">2 runs</a> that did not finish' in page.partition("<h2>")[0]
    assert '<h2 id="unfinished">' in page
    out = shown(comparison)
    assert "failed: failed: DataError: A row lacks x." in out
    assert "unfinished: cut: It ended before its first stage, and left no error." in out
