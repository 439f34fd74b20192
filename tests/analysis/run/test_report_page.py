import base64
import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from scd_lightning.analysis.run.run_pages import write_run_pages

VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers cells and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "strong"):
            self.cells[-1] += data


@pytest.fixture
def page(full_run) -> Page:
    return Page(write_run_pages(full_run)[0].read_text(encoding="utf-8"))


def test_report_needs_nothing_but_itself(full_run):
    path = write_run_pages(full_run)[0]
    text = path.read_text(encoding="utf-8")
    assert path == full_run / "report.html"
    assert all(link.startswith(("#", "data:text/csv;")) for link in Page(text).links)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", text)


def test_report_shows_models_decomposition_schedule_and_costs(page):
    cells = [cell.strip() for cell in page.cells]
    for row in (
        ["f1", "0.821", "0.755", "0.842"],
        ["student", "error", "0.060", "0.040", "-0.020", "10.0 %", "8.0 %", "82.0 %"],
        ["1", "2–3", "2", "0.450", "1.450, 0.750, 0.650, 0.860"],
        ["teacher_sft (reused)", "1 min 15 s", "2 min 28 s", "900.0 MiB", "24,000", "–"],
        ["7.0 %", "4, 5.0 GB/s", "16,000"],
    ):
        assert any(cells[start : start + len(row)] == row for start in range(len(cells))), row


def test_every_plot_has_a_text_of_its_own(full_run):
    text = write_run_pages(full_run)[0].read_text(encoding="utf-8")
    said = re.findall(r'role="img" aria-label="([^"]+)"', text)
    assert text.count("<figure") == text.count("<svg") == len(said) == len(set(said)) == 11
    assert "Stage 0: weight below 0.05 for 66.7 % of the samples" in " ".join(said)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_text_of_the_data_stays_text(full_run, page):
    text = (full_run / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert text.count("</script>") == text.count("<script")
    assert "<!--" not in text
    assert "\u2028" not in text
    [data] = re.findall(r'<script type="application/json" id="sample-data">(.*?)</script>', text, flags=re.DOTALL)
    [row] = [row for row in json.loads(data)["rows"] if row["id"] == "test-3"]
    assert row["input"] == "テキスト 3 </script><!-- \u2028 \u05d0\u05d1"
    assert "&lt;/pre&gt;" in text


def test_downloads_hold_the_tables(full_run):
    links = [
        link
        for link in Page(write_run_pages(full_run)[0].read_text(encoding="utf-8")).links
        if link.startswith("data:")
    ]
    tables = [base64.b64decode(link.split(",", 1)[1]).decode("utf-8-sig") for link in links]
    rows = [list(csv.DictReader(io.StringIO(table, newline=""))) for table in tables]
    metrics, trajectory, schedule, curves, costs = rows
    assert {"of": "student", "metric": "f1", "value": "0.842"}.items() <= metrics[8 + 2].items()
    assert trajectory[2]["f1"] == "0.82"
    assert (schedule[1]["checkpoint"], schedule[1]["weights_0"]) == ("2", "101")
    assert {curve["model"] for curve in curves} == {"teacher", "anchor", "student"}
    assert costs[0]["seconds"] == "75.2"


def test_report_of_a_run_with_results_alone(make_run):
    text = write_run_pages(make_run("bare", method="sft"))[0].read_text(encoding="utf-8")
    Page(text)
    for part in ("<figure", "Checkpoint of each stage", 'id="labels"', 'id="samples"', 'id="cost"', "interval"):
        assert part not in text.split("<script>")[0].split("</style>")[-1], part


def test_what_cut_texts_leave_is_said(full_run):
    results = json.loads((full_run / "results.json").read_text())
    results["data"] |= {"recall_left": {"test": 0.87512}, "warnings": ["Labels that look <alike>."]}
    (full_run / "results.json").write_text(json.dumps(results))
    text = write_run_pages(full_run)[0].read_text(encoding="utf-8")
    for part in ("recall that the cuts leave", "test 0.875", "Labels that look &lt;alike&gt;."):
        assert part in text


def test_schedule_of_a_policy_without_scores_or_weights(full_run):
    schedule = json.loads((full_run / "schedule.json").read_text())
    for stage in schedule["stages"]:
        stage["best_kl"] = stage["student_kl"] = None
        del stage["weights"]
    (full_run / "schedule.json").write_text(json.dumps(schedule))
    text = write_run_pages(full_run)[0].read_text(encoding="utf-8")
    assert text.count("<svg") == 6
    assert "Checkpoint of each stage" in text
    assert "Weights of the samples" not in text


def test_untuned_models_stand_last(make_run):
    folder = make_run("pretrained")
    results = json.loads((folder / "results.json").read_text())
    results["metrics"]["base_teacher"] = {"f1": 0.123}
    (folder / "results.json").write_text(json.dumps(results))
    cells = Page(write_run_pages(folder)[0].read_text(encoding="utf-8")).cells
    assert cells[:5] == ["metric", "teacher", "anchor", "student", "base teacher"]
    assert "0.123" in cells[5:15]


def test_writing_twice_gives_the_same_page(full_run):
    assert write_run_pages(full_run)[0].read_bytes() == write_run_pages(full_run)[0].read_bytes()


def test_writing_loads_no_torch(full_run):
    code = (
        f"from scd_lightning.analysis.run import run_pages; run_pages.write_run_pages(pathlib.Path({str(full_run)!r}))"
    )
    check = f"import pathlib, sys; {code}; assert not {{'torch', 'transformers', 'lightning'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_page_says_which_split_was_evaluated(full_run):
    path = full_run / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"evaluated_split": "validation"}))
    page = write_run_pages(full_run)[0].read_text(encoding="utf-8")
    assert '<h2 id="scores">Validation split</h2>' in page
    assert "500 validation samples" in page
    assert "300 validation samples: student" in page
    assert "too good to report" in page
    assert not re.search(r"\btest (split|sample)", page, re.IGNORECASE)
