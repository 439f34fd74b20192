"""The process of a server: its port, its connections, and its end."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import uvicorn

from scd_lightning.errors import ConfigError
from scd_lightning.serving import listening
from scd_lightning.serving.address import bind
from scd_lightning.serving.bounds import Bounds
from scd_lightning.serving.desk import Desk
from scd_lightning.serving.guard import Access
from tests.conftest import ROOT
from tests.serving.conftest import served

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"text": "a"}'
WHOLE = HEAD + b"Content-Length: 13\r\n\r\n" + BODY


@pytest.fixture
def here(made_up, monkeypatch):
    """Serves a made-up student from a thread; calls `stop` for a signal, and gives what `serve` has given."""
    servers, results = [], []
    real = uvicorn.Server.__init__

    def noted(self, *given):
        real(self, *given)
        servers.append(self)

    monkeypatch.setattr(uvicorn.Server, "__init__", noted)
    monkeypatch.setattr(listening._Server, "capture_signals", uvicorn.Server.capture_signals)
    bound = bind("127.0.0.1", 0)
    bounds = replace(Bounds(), head_seconds=0.5, body_seconds=0.7)
    desk = Desk.of(made_up, "student", bounds, 2)
    thread = threading.Thread(target=lambda: results.append(listening.serve(desk, Access(), bound)))
    thread.start()
    while not (servers and servers[0].started):
        time.sleep(0.01)

    def stop():
        servers[0].should_exit = True

    yield bound.getsockname()[1], stop, results, desk
    made_up.go.set()
    stop()
    thread.join(20)
    assert results == [True]


def call(port, *pieces, wait=5.0):
    """Sends pieces, and reads until nothing comes any more."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(wait)
        for piece in pieces:
            connection.sendall(piece)
        found = b""
        try:
            while got := connection.recv(65536):
                found += got
                connection.settimeout(0.3)
        except TimeoutError:
            return found, "open"
        except ConnectionResetError:
            return found, "reset"
        return found, "closed"


@pytest.mark.parametrize(
    ("pieces", "status", "told", "left"),
    [
        ([WHOLE], b"200", b"short", "open"),
        ([HEAD + b"Content-Length: 5\r\n\r\n" + BODY], b"400", b"not JSON", None),
        ([HEAD + b"Content-Length: 500\r\n\r\n" + BODY], b"408", b"too_slow", "closed"),
        ([HEAD + b"Content-Length: 99999999999\r\n\r\n"], b"413", b"body_too_large", None),
        ([HEAD + b"Content-Length: nonsense\r\n\r\n" + BODY], b"400", b"Invalid HTTP", "closed"),
        ([HEAD + b"Content-Length: -1\r\n\r\n" + BODY], b"400", b"Invalid HTTP", "closed"),
        ([b"\x16\x03\x01 no HTTP\r\n\r\n"], b"400", b"Invalid HTTP", "closed"),
        (
            [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 80],
            b"413",
            b"4,",
            None,
        ),
        ([b"POST /pred"], b"", b"", "closed"),
        ([], b"", b"", "closed"),
        ([WHOLE[:-1], b"}"], b"200", b"short", "open"),
    ],
)
def test_clients_that_lie_about_lengths_or_take_their_time(here, pieces, status, told, left):
    port, *_ = here
    found, ended = call(port, *pieces)
    assert found.partition(b" ")[2].startswith(status)
    assert told in found
    assert left is None or ended == left
    # Whatever one has sent, others are answered.
    assert b"short" in call(port, WHOLE)[0]


def test_what_waits_of_a_client_that_has_gone_is_dropped(here, made_up):
    port, _, _, desk = here
    made_up.go.clear()
    body = json.dumps({"texts": ["a"] * 10}).encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while desk.queue.waiting != 8:
            time.sleep(0.01)
    while desk.queue.waiting:
        time.sleep(0.01)
    made_up.go.set()
    assert b"short" in call(port, WHOLE)[0]
    assert made_up.begun == [2, 1]


def test_at_the_end_all_that_was_accepted_is_answered(here, made_up):
    port, stop, results, desk = here
    made_up.go.clear()
    with ThreadPoolExecutor(9) as pool:
        asked = [pool.submit(call, port, WHOLE) for _ in range(8)]
        while desk.queue.waiting < 6:
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", port)) as late:
            stop()
            time.sleep(0.2)
            # Over a connection that was open: accepted, too.
            late.sendall(WHOLE)
            time.sleep(0.8)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            assert results == []
            made_up.go.set()
            assert b"connection: close" in late.recv(65536)
        assert all(b"short" in each.result()[0] for each in asked)


@pytest.mark.parametrize("pause", [0, 0.2])
def test_who_connects_at_the_last_moment_is_answered(here, monkeypatch, pause):
    """Connected, but not taken yet when the last ones are; and heard of only when nothing else is open any more."""
    port, stop, *_ = here
    late, taken = [], listening._waiting

    def last_moment(bound):
        late.append(socket.create_connection(("127.0.0.1", port)))
        late[0].sendall(WHOLE[: None if pause == 0 else 5])
        return taken(bound)

    monkeypatch.setattr(listening, "_waiting", last_moment)
    stop()
    while not late:
        time.sleep(0.01)
    if pause:
        time.sleep(pause)
        late[0].sendall(WHOLE[5:])
    late[0].settimeout(5)
    with late[0]:
        assert b"200 OK" in late[0].recv(65536)


def test_a_port_in_use_is_told_of():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match="Another program listens there"):
            bind("127.0.0.1", port)


def test_of_two_that_have_a_port_one_listens(made_up):
    first = bind("127.0.0.1", 0)
    with first, bind("127.0.0.1", first.getsockname()[1]) as second:
        first.listen()
        with pytest.raises(ConfigError, match="Another program listens there"):
            listening.serve(Desk.of(made_up, "student", Bounds(), 2), Access(), second)


@pytest.mark.parametrize(
    ("host", "told"),
    [("203.0.113.7", "can't have that address"), ("a..b", "no host's name"), ("no.such.name.invalid", "can't have")],
)
def test_an_address_that_is_none_of_this_machine_is_told_of(host, told):
    with pytest.raises(ConfigError, match=told):
        bind(host, 0)


def test_the_address_can_be_had_again_at_once():
    with bind("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), bound.accept()[0]:
            pass
    bind("127.0.0.1", port).close()


def test_the_command_serves_and_ends_in_order(run_folders, tmp_path):
    folder = run_folders("classification")
    with served(folder, tmp_path) as (process, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as health:
            assert json.load(health)["status"] == "ok"
        line = [sys.executable, "-m", "scd_lightning", "serve", str(folder), "--port", str(port)]
        other = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        assert other.returncode == 2
        assert "Another program listens there" in other.stderr
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(call, port, WHOLE) for _ in range(4)]
            time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert all(b"200 OK" in each.result()[0] for each in asked)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""


@pytest.mark.slow
def test_ctrl_c_ends_it_in_order_too(run_folders, tmp_path):
    with served(run_folders("classification"), tmp_path) as (process, port):
        assert b"200 OK" in call(port, WHOLE)[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
