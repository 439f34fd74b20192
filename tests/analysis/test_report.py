import json
import re
from html.parser import HTMLParser

import pytest

from scd_lightning.analysis.records import read_run
from scd_lightning.analysis.report import examples, write_report

VOID = {"meta", "br", "link", "img", "input", "hr"}


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
    return Page(write_report(full_run).read_text(encoding="utf-8"))


def test_report_needs_nothing_but_itself(full_run):
    path = write_report(full_run)
    text = path.read_text(encoding="utf-8")
    assert path == full_run / "report.html"
    assert all(link.startswith("#") for link in Page(text).links)
    assert "<script" not in text
    assert not re.search(r"url\((?!#)|@import", text)


def test_report_shows_models_decomposition_schedule_and_costs(page):
    cells = [cell.strip() for cell in page.cells]
    for row in (
        ["student", "0.842", "0.850", "0.834", "0.004"],
        ["student", "error", "0.060", "0.040", "-0.020", "10.0 %", "8.0 %", "82.0 %"],
        ["1", "2–3", "2", "0.450", "1.450, 0.750, 0.650, 0.860"],
        ["teacher_sft (reused)", "1 min 15 s", "2 min 28 s", "900.0 MiB", "24,000", "–"],
    ):
        assert any(cells[start : start + len(row)] == row for start in range(len(cells))), row


def test_report_has_every_plot(full_run):
    text = write_report(full_run).read_text(encoding="utf-8")
    assert text.count("<figure") == text.count("<svg") == 6


def test_text_of_the_data_stays_text(full_run, page):
    text = (full_run / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert any("疾患: <b>糖尿病</b>" in cell for cell in page.cells)


def test_report_of_a_run_with_results_alone(make_run):
    text = write_report(make_run("bare", method="sft")).read_text(encoding="utf-8")
    Page(text)
    assert "<figure" not in text
    assert "Checkpoint of each stage" not in text


def test_schedule_of_a_policy_without_scores(full_run):
    schedule = json.loads((full_run / "schedule.json").read_text())
    for stage in schedule["stages"]:
        stage["best_kl"] = stage["student_kl"] = None
    (full_run / "schedule.json").write_text(json.dumps(schedule))
    text = write_report(full_run).read_text(encoding="utf-8")
    assert text.count("<svg") == 5
    assert "Checkpoint of each stage" in text


def test_pretrained_models_stand_first(make_run):
    folder = make_run("pretrained")
    results = json.loads((folder / "results.json").read_text())
    results["metrics"]["base_teacher"] = {"f1": 0.123}
    (folder / "results.json").write_text(json.dumps(results))
    cells = Page(write_report(folder).read_text(encoding="utf-8")).cells
    start = cells.index("base teacher")
    assert cells[start + 1 : start + 6] == ["0.123", "–", "–", "–", "teacher"]


def test_examples_are_the_largest_differences_of_either_sign(full_run):
    record = read_run(full_run)
    (_, ahead), (_, behind) = examples(record)
    losses = zip(record.predictions["student"], record.predictions["teacher"], strict=True)
    differences = sorted(ours["loss"] - theirs["loss"] for ours, theirs in losses)
    assert [row["difference"] for row in ahead] == differences[:5]
    assert [row["difference"] for row in behind] == differences[:-6:-1]


def test_writing_twice_gives_the_same_page(full_run):
    assert write_report(full_run).read_bytes() == write_report(full_run).read_bytes()
