"""comparison.html in a real browser: it sorts, and says nothing on the console."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

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


def order(path: Path, text: str, heading: str, clicks: int) -> list[str]:
    probe = PROBE.replace("{heading}", heading).replace("{clicks}", str(clicks))
    path.write_text(text.replace("</body>", probe), encoding="utf-8")
    assert CHROMIUM is not None
    line = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}"]
    done = subprocess.run(
        [*line, "--enable-logging=stderr", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None, done.stderr
    return title[1].split()


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
