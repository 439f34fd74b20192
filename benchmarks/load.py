"""Clients on loopback that ask a server one request after another, and note what becomes of each."""

import asyncio
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Found:
    """What became of some requests.

    Attributes:
        seconds: Of each answered one, from its first byte to the answer's last.
        errors: How many were answered by a refusal or an error.
        lost: How many were sent and got no answer at all.
        refused: How many connections were not accepted.
    """

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    lost: int = 0
    refused: int = 0

    def add(self, other: "Found") -> None:
        """Counts what became of other requests too."""
        self.seconds += other.seconds
        self.errors, self.lost, self.refused = (
            self.errors + other.errors,
            self.lost + other.lost,
            self.refused + other.refused,
        )

    def percentile(self, share: float) -> float:
        """The time within which a share of the answered requests was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


@dataclass
class Clients:
    """Clients that keep their connections, as many as there are to be, for as long as they are to ask.

    Attributes:
        port: The server's.
        texts: What they ask, over and over.
        texts_each: Texts of a request.
        found: What became of their requests.
    """

    port: int
    texts: Sequence[str]
    texts_each: int = 1
    found: Found = field(default_factory=Found)

    async def ask(self, clients: int, seconds: float) -> None:
        """Has so many clients ask for so long, or until the server takes no more."""
        ends = time.perf_counter() + seconds
        await asyncio.gather(*(self._client(number, ends) for number in range(clients)))

    async def _client(self, number: int, ends: float) -> None:
        connection: Connection | None = None
        for body in self._bodies(number):
            if time.perf_counter() > ends:
                break
            if connection is None:
                try:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    self.found.refused += 1
                    return
            connection = await self._request(connection, body)
        if connection is not None:
            connection[1].close()

    def _bodies(self, number: int) -> Iterator[bytes]:
        for start in count(number * self.texts_each, self.texts_each):
            texts = [self.texts[place % len(self.texts)] for place in islice(count(start), self.texts_each)]
            yield json.dumps({"texts": texts}).encode()

    async def _request(self, connection: Connection, body: bytes) -> Connection | None:
        """Sends a request and reads its answer; the connection, where it outlives that."""
        reader, writer = connection
        head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        start = time.perf_counter()
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if line)
            answer: Any = json.loads(await reader.readexactly(int(fields["content-length"])))
        except (OSError, EOFError):
            self.found.lost += 1
            writer.close()
            return None
        if lines[0].split()[1] == "200" and len(answer["answers"]) == self.texts_each:
            self.found.seconds.append(time.perf_counter() - start)
        else:
            self.found.errors += 1
        if fields.get("connection") == "close":
            writer.close()
            return None
        return connection
