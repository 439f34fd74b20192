import base64
import csv
import io
import json
import re
import shutil

import pytest
from rich.console import Console

from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_page import write_comparison
from scd_lightning.analysis.comparison.comparison_table import comparison_table, verdict_lines


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
    assert page.count("<svg") == 3


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


def test_costs_say_what_samples_a_training_saw(sweep):
    for run, samples in zip(sweep, (57600, 57600, 57000, 58200), strict=True):
        costs = {"student_sft": {"seconds": 10.0, "samples": 57600}, "distill": {"seconds": 5.0, "samples": samples}}
        (run / "costs.json").write_text(json.dumps(costs | {"evaluate": {"seconds": 1.0}}))
    page = write_comparison(compare(sweep), sweep[0].parent).read_text(encoding="utf-8")
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    small = '<span class="small">57,600 samples</span>'
    for method in ("td", "scd_aw"):
        assert [method, f"10.0 s{small}", f"5.0 s{small}", "1.0 s", "16.0 s"] in rows


def test_terminal_shows_each_method_and_what_they_share(sweep):
    text = shown(compare(sweep), width=80)
    (line,) = (line.split() for line in text.splitlines() if line.split()[:1] == ["td"])
    assert line[:2] == ["td", "2"]
    words = " ".join(text.split())
    assert "Shared by all methods: teacher 0.821 ±0.000 (seeds 0: 0.821, 1: 0.821), anchor 0.755" in words
    assert "Mean ± sample standard deviation over seeds." in words
    assert "…" not in text


def test_page_says_once_what_methods_share(page):
    assert page.count("Shared by all methods: teacher 0.821") == 1
    assert not re.search(r"<th>(teacher|anchor)</th>", page)


def test_what_methods_do_not_share_has_a_column(make_answered, tmp_path):
    runs = [make_answered("td", 60, method="td"), make_answered("scd", 60, anchor=40, method="scd")]
    comparison = compare(runs)
    page = write_comparison(comparison, tmp_path).read_text(encoding="utf-8")
    assert re.findall(r"<th>(teacher|anchor)</th>", page) == ["anchor"]
    assert "anchor" in shown(comparison).partition("Shared")[0]


def coloured(comparison) -> dict[str, set[str]]:
    """The words that the terminal shows in a colour."""
    console = Console(width=300, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(verdict_lines(comparison))
    found = re.findall(r"\x1b\[1;(\d+)m(.*?) by 0", capture.get())
    return {code: {text for each, text in found if each == code} for code in {code for code, _ in found}}


def test_verdict_is_in_words_and_in_colour_on_terminal_and_page(make_answered, tmp_path):
    rights = {"sft": 60, "td": 35, "cd": 61, "scd": 90}
    comparison = compare([make_answered(method, right, method=method) for method, right in rights.items()])
    red, green = "31", "32"
    assert coloured(comparison) == {
        red: {"below plain fine-tuning", "below its teacher"},
        green: {"above plain fine-tuning", "above its teacher"},
    }
    page = write_comparison(comparison, tmp_path).read_text(encoding="utf-8")
    assert '<li>td is <strong class="below">below plain fine-tuning by 0.250 (95 % interval' in page
    assert '<li>scd (best on validation) is <strong class="above">above plain fine-tuning by 0.300' in page
    assert "<li>cd is higher than plain fine-tuning by 0.010, not told apart" in page
    assert re.search(r'<td data-sort="-0.25\d*" class="below">-0.250<span class="small">', page)


def test_the_last_words_name_what_is_missing_first(make_run, tmp_path):
    (tmp_path / "cut").mkdir()
    console = Console(width=300, record=True)
    console.print(verdict_lines(compare([make_run("run"), tmp_path / "cut"])))
    first, *_, last = console.export_text().splitlines()
    assert first == "Without 1 run that did not finish, named above."
    assert last.startswith("scd_aw is higher than plain fine-tuning")


def test_the_page_says_which_split_was_evaluated(make_answered, tmp_path):
    runs = [make_answered(f"run-{seed}", 60, seed=seed, evaluated="validation") for seed in (0, 1)]
    page = write_comparison(compare(runs), tmp_path).read_text(encoding="utf-8")
    assert "on the validation split" in page
    assert not re.search(r"\btest\b", re.sub(r"data:[^\"]*", "", page))


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
    assert "unfinished: cut: It ended before its first phase, and left no error." in out
