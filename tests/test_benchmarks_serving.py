"""The load that servers are measured under notes what becomes of each request."""

import asyncio
import json

import pytest

from benchmarks.load import Clients, Found
from benchmarks.settings import ROOT

ANSWER = b'{"answers": [{}, {}]}'


def answer(status=200, body=ANSWER, closes=False):
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n" + ("Connection: close\r\n" if closes else "")
    return head.encode() + b"\r\n" + body


def found(answers, clients=1):
    """What becomes of requests of two texts each, of which so many are answered, and no further connection is."""

    async def measure():
        left, seen = list(answers), []

        async def serve(reader, writer):
            while left:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                seen.append(await reader.readexactly(int(head.split("Content-Length: ")[1].split()[0])))
                sent = left.pop(0)
                writer.write(sent)
                if not sent or b"close" in sent:
                    break
            writer.close()
            if not left:
                server.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        asked = Clients(server.sockets[0].getsockname()[1], ["a", "b", "c"], 2)
        await asked.ask(clients, 5)
        return asked.found, seen

    return asyncio.run(measure())


def test_answers_errors_and_losses_are_told_apart():
    outcome, seen = found([answer(), answer(429), answer(body=b'{"answers": [{}]}'), answer(closes=True), b""])
    assert len(outcome.seconds) == 2
    assert (outcome.errors, outcome.lost, outcome.refused) == (2, 1, 1)
    assert seen[:3] == [b'{"texts": ["a", "b"]}', b'{"texts": ["c", "a"]}', b'{"texts": ["b", "c"]}']


def test_a_client_that_is_told_of_the_end_calls_anew():
    outcome, _ = found([answer(closes=True)] * 3)
    assert len(outcome.seconds) == 3
    assert (outcome.lost, outcome.refused) == (0, 1)


def test_percentiles_are_times_of_requests():
    outcome = Found(seconds=[float(number) for number in range(100, 0, -1)])
    assert [outcome.percentile(share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert Found(seconds=[3.0]).percentile(0.99) == pytest.approx(3)


def test_what_the_docs_say_of_greedy_decoding_was_measured():
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    [results] = (ROOT / "benchmarks" / "results").glob("*/serving.json")
    rows = {row["name"]: row for row in json.loads(results.read_text())["rows"] if row["way"] == "greedy"}
    few, many = rows["classification"], rows["banking77"]
    told = " ".join(page.split())
    assert f"{few['different'] / few['texts']:.1%} of {few['texts']} answers differ" in told
    assert f"{many['different'] / many['texts']:.1%} of {many['texts']}," in told
    assert f"{many['no_label'] / many['texts']:.1%} are no label" in told
