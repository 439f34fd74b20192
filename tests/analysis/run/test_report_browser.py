"""The page in a real browser: no errors, and its filters, sorting and details do what they say."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scd_lightning.analysis.run.run_pages import write_run_pages

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")

TEXTS = ("Ann met 😀 Bob in Rome.", "今日は京都でアンに会った。", "אן פגשה את בוב", "Nobody </script><b>here</b>")
SCRIPT = """
<script>
const say = {}, $ = (query) => document.querySelector(query), all = (query) => [...document.querySelectorAll(query)];
const press = (name) => all("#samples button").find((each) => each.textContent.startsWith(name)).click();
const ids = () => all("#sample-table td.id").map((cell) => cell.textContent);
const status = () => $("#samples [role=status]").textContent;
say.buttons = all("#samples [aria-pressed]").map((each) => each.textContent);
say.first = ids()[0];
press("teacher only right"); say.teacherOnly = status();
press("both wrong"); say.bothWrong = status();
press("all");
const search = $("#sample-search");
search.value = "京都"; search.dispatchEvent(new Event("input")); say.searched = status();
search.value = ""; search.dispatchEvent(new Event("input"));
const label = $("#sample-label");
label.value = "L"; label.dispatchEvent(new Event("change")); say.labelled = status();
label.value = ""; label.dispatchEvent(new Event("change"));
press("next"); say.second = status(); press("previous");
press("student loss"); say.falling = ids()[0]; press("student loss"); say.rising = ids()[0];
press("sample"); say.sorted = $("#sample-table th[aria-sort]").textContent;
search.value = "s0000"; search.dispatchEvent(new Event("input"));
$("#sample-table td.id button").click();
say.marks = all(".sheet mark").map((mark) => [mark.className, mark.firstChild.textContent, mark.lastChild.textContent]);
say.loose = all(".sheet .soft").map((each) => each.textContent);
say.text = $(".sheet .content").textContent;
$("#theme").click(); say.theme = document.documentElement.dataset.theme;
const head = all("#labels ~ div th").find((each) => each.textContent === "support").firstChild;
head.click(); head.click(); say.labels = all("table.sortable tbody td:first-child").map((cell) => cell.textContent);
say.csv = all("a[download]").length;
say.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const said = document.createElement("pre");
document.body.append(Object.assign(said, { id: "said", hidden: true, textContent: JSON.stringify(say) }));
</script>
"""


def browse(page: Path, *options: str) -> tuple[dict[str, Any], str]:
    """What the script at the page's end says, and what the console says."""
    assert BROWSER is not None
    fixed = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [BROWSER, *fixed, profile, "--virtual-time-budget=3000", *options, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "LANG": "C.UTF-8"})
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    found = re.search(r'<pre id="said"[^>]*>(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found, (console, done.stderr[-2000:])
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(text), console


@pytest.fixture
def entity_run(full_run: Path) -> Path:
    """2,000 samples: the teacher is right in every second one, the student in every third."""
    tables: dict[str, list[dict[str, Any]]] = {"samples": [], "teacher": [], "anchor": [], "student": []}
    for index in range(2000):
        gold = [["P", "Ann", 0, 3], ["P", "Bob", 10, 13], ["L", "Rome", 17, 21]] if index % 4 == 0 else []
        name = f"s{index:04}"
        tables["samples"].append(
            {"id": name, "input": TEXTS[index % 4], "labels": [label for label, *_ in gold], "entities": gold}
        )
        for model, every in (("teacher", 2), ("anchor", 5), ("student", 3)):
            right = index % every == 0 and index > 0
            found = gold if right else [["P", "Ann", 0, 3], ["L", "Bob", 10, 13], ["L", "Oslo", None, None]]
            row = {"id": name, "answer": "P: Ann", "gold": "P: Ann", "correct": float(right), "malformed": False}
            tables[model].append({**row, "loss": (index * every % 2000) / 1000, "entities": found})
    for name, rows in tables.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (full_run / "predictions" / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return full_run


def test_filters_sorting_and_details_work_without_an_error(entity_run):
    page, _ = write_run_pages(entity_run)
    assert page.stat().st_size < 4_000_000
    page.write_text(page.read_text(encoding="utf-8") + SCRIPT, encoding="utf-8")
    said, console = browse(page, "--window-size=1280,900")
    assert console == ""
    assert said["buttons"][0] == "all: 2000"
    assert said["buttons"][3:] == ["both wrong: 668", "student only right: 333", "teacher only right: 666"]
    assert said["teacherOnly"] == "1 to 25 of 666"
    assert said["bothWrong"] == "1 to 25 of 668"
    assert said["searched"] == said["labelled"] == "1 to 25 of 500"
    assert said["second"] == "26 to 50 of 2000"
    losses = {f"s{index:04}": index * 3 % 2000 for index in range(2000)}
    assert losses[said["falling"]] == 1999
    assert losses[said["rising"]] == 0
    assert said["sorted"] == "sample"
    assert said["marks"][:3] == [["gold", "Ann", "P"], ["gold", "Bob", "P"], ["gold", "Rome", "L"]]
    of_teacher = said["marks"][3:8]
    assert ["right", "Ann", "✓P"] in of_teacher
    assert ["missed", "Rome", "−L"] in of_teacher
    assert ["spurious", "Oslo", "+L"] in of_teacher
    assert said["text"] == "Ann" + "P met 😀 Bob" + "P in Rome" + "L."
    assert len(said["loose"]) == 3
    assert said["theme"] in ("light", "dark")
    assert said["labels"] == ["L", "P"]
    assert said["csv"] == 6


def test_a_phone_scrolls_in_one_direction_only(entity_run):
    page, _ = write_run_pages(entity_run)
    page.write_text(page.read_text(encoding="utf-8") + SCRIPT, encoding="utf-8")
    # Chromium's windows are 500 wide at least, but for a frame.
    frame = page.with_name("phone.html")
    look = "const d = f.contentDocument.documentElement; p.textContent = JSON.stringify([d.scrollWidth, d.clientWidth])"
    frame.write_text(
        f'<iframe id="f" src="report.html" width="390" height="800"></iframe><pre id="said">[]</pre><script>'
        f'const p = document.getElementById("said"); f.onload = () => {{ {look} }}</script>'
    )
    (scroll, client), console = browse(frame, "--allow-file-access-from-files")
    assert console == ""
    assert scroll <= client
