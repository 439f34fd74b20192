"""W&B online, against a stand-in for its server that knows as much of it as one run needs."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from scd_lightning.loggers.job_loggers import JobInfo
from scd_lightning.loggers.wandb import WandbLogger

pytestmark = pytest.mark.usefixtures("no_key")

RUN = {"id": "r", "name": "RUN", "displayName": "td-0", "config": "{}", "historyLineCount": 0}
RUN |= {"project": {"id": "p", "name": "p", "entity": {"id": "e", "name": "team"}}}
ANSWERS: dict[str, dict] = {
    "UpsertBucket": {"upsertBucket": {"bucket": RUN, "inserted": True}},
    "CreateRunFiles": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}},
    "Viewer": {"viewer": {"id": "v", "entity": "team", "username": "me", "flags": "{}", "teams": {"edges": []}}},
}


class StandIn(BaseHTTPRequestHandler):
    """Answers each request at once, and keeps what was sent of files."""

    sent: list[str] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer: dict = {}
        if self.path == "/graphql":
            asked = json.loads(body)
            answer = ANSWERS.get(asked.get("operationName"), {"model": None, "serverInfo": {"features": []}})
            # The server calls a run as it was called.
            answer = json.loads(json.dumps({"data": answer}).replace("RUN", asked.get("variables", {}).get("name", "")))
        elif self.path.endswith("file_stream"):
            self.sent.append(body.decode())
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    StandIn.sent.clear()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_server_holds_no_job_up(server, tmp_path, capsys, lost):
    logger = WandbLogger(str(tmp_path), "p", finish_timeout=2 if lost else 60)
    logger.begin(JobInfo("td-0", "group", "td", {}))
    logger("distill").log_metrics({"train_loss": 1.5}, 3)
    if lost:
        server.shutdown()
        server.server_close()
    logger.results({"test/f1": 0.5}, "It won.")
    start = time.monotonic()
    logger.finish(failed=False)
    assert time.monotonic() - start < 30
    told = capsys.readouterr().out.replace("\n", "")
    assert "W&B: http://127.0.0.1" in told
    (folder,) = (tmp_path / "wandb").glob("run-2*")
    if lost:
        assert f"to upload it later: wandb sync {folder}" in told
    else:
        assert "wandb sync" not in told
        assert '"exitcode":0' in StandIn.sent[-1]
        assert any("distill/train_loss" in body for body in StandIn.sent)
