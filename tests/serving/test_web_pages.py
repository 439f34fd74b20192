"""The pages for people: whole in themselves, held to themselves, and safe against what texts spell."""

import asyncio
import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import scd_lightning.serving
from scd_lightning.use.answers_given import Found, Mention
from tests.serving.conftest import served

PAGES = sorted((Path(scd_lightning.serving.__file__).parent / "pages").glob("*"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome") or ""
TEXT = "<img src=x onerror=\"document.title='gone'\"> 😀 Garuma wrote the Act."


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_needs_nothing_from_elsewhere(path):
    content = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)(?:\w+:|//)", content)
    assert not re.findall(r"https?://|@import|url\(", content)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_reads_nothing_as_html(path):
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", path.read_text()
    )


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_browser_is_held_to_the_page_s_own_script(serve, made_up, path):
    with serve(made_up) as client:
        response = client.get(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        [inside] = re.findall(rf"<{kind}>(.*?)</{kind}>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_a_text_is_tried_in_a_browser(run_folders, tmp_path):
    with served(run_folders("ner"), tmp_path) as (_, port):
        url = f"http://127.0.0.1:{port}"
        tried = asyncio.run(in_browser(url, tmp_path, TEXT))
        interface = asyncio.run(in_browser(f"{url}/docs", tmp_path, None))
    assert tried["errors"] == interface["errors"] == []
    assert tried["title"] == "student"
    assert tried["shown"].startswith(TEXT)
    assert "digest" in tried["page"]
    assert "POST /v1/chat/completions" in interface["page"]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_entities_are_marked_where_they_stand(tmp_path):
    """Behind a character that JavaScript counts twice, too."""
    page = next(path for path in PAGES if path.name == "try.html").read_text(encoding="utf-8")
    start, act = TEXT.index("Garuma"), TEXT.index("Act")
    entities = (
        Mention("PERSON", "Garuma", start, start + 6),
        Mention("LAW", "Act", act, act + 3),
        Mention("LAW", "Bill"),
    )
    row = Found("input-1", "...", 0.5, entities=entities).row()
    shown = f"<script>addEventListener('load', () => show({json.dumps(TEXT)}, {json.dumps(row)}));</script>"
    (tmp_path / "try.html").write_text(page.replace("</body>", f"{shown}</body>"), encoding="utf-8")
    found = asyncio.run(in_browser(f"file://{tmp_path / 'try.html'}", tmp_path, None))
    assert found["marks"] == ["GarumaPERSON", "ActLAW"]
    assert "not in the text" in found["page"]


async def in_browser(url, folder, text):
    """What a page shows: after a text was typed and sent, where there is one."""
    aiohttp = pytest.importorskip("aiohttp")
    line = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    with subprocess.Popen(
        [*line, f"--user-data-dir={folder / 'browser'}", "about:blank"], stderr=subprocess.PIPE, text=True
    ) as browser:
        try:
            assert browser.stderr is not None
            port = next(found[1] for said in browser.stderr if (found := re.search(r"ws://[^:]+:(\d+)/", said)))
            async with aiohttp.ClientSession() as session:
                tabs = await (await session.get(f"http://127.0.0.1:{port}/json")).json()
                tab = next(each for each in tabs if each["type"] == "page")
                async with session.ws_connect(tab["webSocketDebuggerUrl"]) as socket:
                    return await look(Tab(socket), url, text)
        finally:
            browser.terminate()


class Tab:
    """A page of the browser, by its debugging protocol."""

    def __init__(self, socket):
        self.socket, self.asked, self.errors = socket, 0, []

    async def call(self, method, **parameters):
        self.asked += 1
        await self.socket.send_json({"id": self.asked, "method": method, "params": parameters})
        while True:
            message = await self.socket.receive_json()
            if message.get("id") == self.asked:
                return message["result"]
            if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(message["params"])

    async def value(self, expression):
        return (await self.call("Runtime.evaluate", expression=expression))["result"].get("value")

    async def until(self, expression):
        for _ in range(200):
            if found := await self.value(expression):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{expression} stays {found!r}: {self.errors}")


async def look(tab, url, text):
    for domain in ("Log", "Runtime", "Page"):
        await tab.call(f"{domain}.enable")
    await tab.call("Page.navigate", url=url)
    await tab.until("document.readyState === 'complete'")
    if text is not None:
        await tab.until("!document.querySelector('#send').disabled")
        await tab.value("document.querySelector('textarea').focus()")
        await tab.call("Input.insertText", text=text)
        await tab.value("document.querySelector('#send').click()")
        await tab.until("document.querySelector('article') !== null")
    await asyncio.sleep(0.5)
    marks = "JSON.stringify([...document.querySelectorAll('mark')].map(each => each.textContent))"
    return {
        "errors": tab.errors,
        "title": await tab.value("document.title"),
        "page": await tab.value("document.body.innerText"),
        "shown": await tab.value("document.querySelector('.text')?.innerText ?? ''"),
        "marks": json.loads(await tab.value(marks)),
    }
