"""comparison.html in a real browser: it sorts and opens, says nothing on the console, and runs no text of anybody's."""

import base64
import csv
import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scd_lightning.analysis.comparison.compare import compare
from scd_lightning.analysis.comparison.comparison_page import write_comparison

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Clicks a heading so many times, and leaves the rows' order where the test finds it.
PROBE = """<script>
const table = document.querySelector("table.methods"), heads = [...table.tHead.rows[0].cells];
const head = heads.find((each) => each.textContent.startsWith("{heading}"));
for (let i = 0; i < {clicks}; i++) head.click();
document.title = [...table.tBodies].map((body) => body.rows[0].cells[0].dataset.sort).join(" ");
</script></body>"""
# Texts that become elements, attributes, styles, formulas or programs where somebody forgets to escape them.
HOSTILE = (
    "<script>stolen=1</script>",
    '"><img src=x onerror=stolen=1>',
    "' onmouseover='stolen=1' x='",
    "</style><script>stolen=1</script>",
    "</svg><svg onload=stolen=1>",
    "]]></script><iframe srcdoc='<script>parent.stolen=1</script>'>",
    "javascript:stolen=1",
    "&lt;script&gt;stolen=1&lt;/script&gt;",
    "{{ 7 * 7 }}{% if %}",
    "$x^{\\\\frac$ `stolen`",
    "--><!-- <title>stolen</title>",
)
# Does to the page all that can be done to it, and says what became of it.
TOUR = """<script>
const all = (query) => [...document.querySelectorAll(query)], say = {}, press = (each, key) =>
  each.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const heads = all("table.sortable thead th");
const order = () => all("table.methods tbody").map((body) => body.dataset.place);
all("table.methods tbody").forEach((body, place) => { body.dataset.place = place; });
const before = order();
for (const head of heads) { head.click(); head.click(); press(head, "Enter"); press(head, " "); press(head, "x"); }
say.heads = heads.length;
say.sorted = all("th[aria-sort]").length;
say.kept = order().toSorted().join() === before.toSorted().join();
all("details > summary").forEach((each) => each.click());
say.open = all("details").map((each) => each.open);
all("*").forEach((each) => each.dispatchEvent(new MouseEvent("mouseover", { bubbles: true })));
say.links = all("a").map((each) => each.getAttribute("href"));
say.elements = all("body img, body iframe, body title, body svg[onload], body svg script").length;
say.scripts = all("script").length;
say.handlers = all("*").flatMap((each) => each.getAttributeNames()).filter((name) => name.startsWith("on"));
say.text = document.body.innerText;
say.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
setTimeout(() => {
  say.stolen = typeof stolen;
  document.body.append(Object.assign(document.createElement("pre"), { id: "said", textContent: JSON.stringify(say) }));
}, 200);
</script></body>"""


def order(path: Path, text: str, heading: str, clicks: int) -> list[str]:
    probe = PROBE.replace("{heading}", heading).replace("{clicks}", str(clicks))
    title = re.search(r"<title>(.*?)</title>", browse(path, text.replace("</body>", probe)))
    assert title is not None
    return title[1].split()


def browse(path: Path, text: str, *options: str) -> str:
    """The page as it is after its scripts have run."""
    path.write_text(text, encoding="utf-8")
    assert CHROMIUM is not None
    line = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}"]
    done = subprocess.run(
        [*line, *options, "--enable-logging=stderr", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def tour(path: Path, text: str, *options: str) -> dict[str, Any]:
    seen = browse(path, text.replace("</body>", TOUR), "--virtual-time-budget=3000", *options)
    found = re.search(r'<pre id="said">(.*?)</pre>', seen, flags=re.DOTALL)
    assert found is not None
    said: dict[str, Any] = json.loads(html.unescape(found[1]))
    return said


@pytest.fixture
def hostile_runs(make_run, tmp_path) -> list[Path]:
    """Runs whose every name is a hostile text, and one that failed with all of them in its message."""
    runs = []
    for place, text in enumerate(HOSTILE):
        for seed in (0, 1):
            folder = make_run(f"{place}-{seed} {text}".replace("/", "|"), method=text, seed=seed, student=place / 20)
            results = json.loads((folder / "results.json").read_text())
            results["data"] |= {"name": HOSTILE[seed], "digest": HOSTILE[2]}
            results["models"]["teacher"]["name"] = HOSTILE[3]
            results["models"]["student"]["name"] = HOSTILE[4]
            for metrics in results["metrics"].values():
                metrics[HOSTILE[5]] = 0.5
            (folder / "results.json").write_text(json.dumps(results))
            (folder / "config.yaml").write_text(yaml.safe_dump({"method": {"name": text, "note": f"={text}"}}))
            (folder / "report.html").write_text("a report")
            runs.append(folder)
    failed = tmp_path / f"99 {HOSTILE[1]}"
    (failed / ".hydra").mkdir(parents=True)
    (failed / "failure.json").write_text(json.dumps({"type": HOSTILE[0], "message": "\n".join(HOSTILE)}))
    (failed / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"task.name={each}" for each in HOSTILE]))
    return [*runs, failed]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_click_on_a_heading_sorts_methods_with_their_seeds(make_run, tmp_path):
    runs = [
        make_run(f"{method}-{seed}", method=method, seed=seed, student=score)
        for method, score in (("td", 0.5), ("cd", 0.9), ("scd", 0.7))
        for seed in (0, 1)
    ]
    text = write_comparison(compare(runs), tmp_path).read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    assert order(page, text, "student", 0) == ["td", "cd", "scd"]
    assert order(page, text, "student", 1) == ["cd", "scd", "td"]
    assert order(page, text, "student", 2) == ["td", "scd", "cd"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 500])
def test_whatever_names_spell_is_text(hostile_runs, tmp_path, width):
    text = write_comparison(compare(hostile_runs), tmp_path).read_text(encoding="utf-8")
    said = tour(tmp_path / "page.html", text, f"--window-size={width},900")
    assert said["stolen"] == "undefined"
    assert said["elements"] == 0
    assert said["handlers"] == []
    assert said["scripts"] == text.count("<script") + 1
    assert said["heads"] > 10
    assert said["sorted"] >= 1
    assert said["kept"]
    assert said["open"]
    assert all(said["open"])
    assert said["overflow"] <= 0
    assert all(link.startswith(("#", "data:text/csv;")) or link.endswith("/report.html") for link in said["links"])
    for each in HOSTILE:
        assert " ".join(each.split()) in " ".join(said["text"].split()), each


def test_no_cell_of_a_table_begins_a_formula(hostile_runs, tmp_path):
    text = write_comparison(compare(hostile_runs), tmp_path).read_text(encoding="utf-8")
    links = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', text)
    tables = [base64.b64decode(link).decode("utf-8-sig") for link in links]
    cells = [cell for table in tables for line in csv.reader(io.StringIO(table)) for cell in line]
    assert len(tables) > 1
    begun = [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    assert all(re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell) for cell in begun)
    assert any(cell.startswith("'--><!--") for cell in cells)
