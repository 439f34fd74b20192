"""The server's process: its connections, and its end, which loses nothing that was accepted."""

import asyncio
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from scd_lightning.progress import say
from scd_lightning.serving.address import told_of_address
from scd_lightning.serving.application import make_application
from scd_lightning.serving.desk import Desk
from scd_lightning.serving.guard import Access, Guard

# Connections that the system keeps until they are taken.
_BACKLOG = 1024
# How long connections without a request are kept. More than clients keep theirs: whose end closes first, loses nothing.
_KEPT = 75
# How long the end waits for requests that are on their way over open connections, before none is taken any more and
# after; and, when all is answered, for those who don't read.
_LINGER, _UNREAD = 0.5, 5


def serve(desk: Desk, access: Access, bound: socket.socket, *, access_log: bool = False) -> bool:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        desk: Where texts are handed in.
        access: Who may ask.
        bound: A socket that has its address.
        access_log: Whether each request has its line on standard output; of texts there is nothing in it.

    Returns:
        Whether all that was accepted was answered; a second Ctrl-C does not wait for that.

    Raises:
        ConfigError: Another server has meanwhile begun to listen there.
    """
    app, guard = make_application(desk, access)
    host, port = bound.getsockname()[:2]
    # Two may have had the address before one of them listens.
    with told_of_address(host, port):
        bound.listen(_BACKLOG)
    config = uvicorn.Config(
        guard,
        loop="asyncio",
        http=_Connection,
        ws="none",
        lifespan="on",
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEPT,
        timeout_graceful_shutdown=_UNREAD,
    )
    config.load()
    server = _Server(config, guard, f"{desk.name} ({desk.digest[:12]}) answers on {_address(host, port)}")
    server.run([bound])
    return not server.force_exit


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Connection(H11Protocol):
    """A connection that is closed where a request's first lines don't arrive."""

    _begun: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        """From the first byte that belongs to no request to the request that it belongs to."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()
        elif self._begun is None:
            app: Any = self.config.app
            self._begun = self.loop.call_later(app.bounds.head_seconds, self.timeout_keep_alive_handler)

    def _stop_watching(self) -> None:
        if self._begun is not None:
            self._begun.cancel()
            self._begun = None


def _waiting(bound: Sequence[socket.socket]) -> list[socket.socket]:
    """Connections that clients have made, and may have asked over, and that nobody has taken yet."""
    taken = []
    for each in bound:
        with suppress(OSError):  # There are no more.
            while True:
                taken.append(each.accept()[0])
    return taken


class _Server(uvicorn.Server):
    """Ends in order: no connection outlives its answer, then none is taken any more, then all is answered."""

    def __init__(self, config: uvicorn.Config, guard: Guard, told: str) -> None:
        super().__init__(config)
        self._guard, self._told = guard, told

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        say(f"{self._told}; Ctrl-C ends it")

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._guard.stopping = True
        # What clients have sent, or send because they have not heard yet, is accepted. Else a connection that has just
        # been answered would be closed on its next request.
        await asyncio.sleep(_LINGER)
        # In one step: who connects between the two is turned away unheard.
        waiting = _waiting(sockets or [])
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for each in waiting:
            await loop.connect_accepted_socket(self._connection, each)
        quiet_since = loop.time()
        while loop.time() < quiet_since + _LINGER and not self.force_exit:
            await asyncio.sleep(0.02)
            quiet_since = loop.time() if self._guard.open else quiet_since
        await super().shutdown(sockets)

    def _connection(self) -> _Connection:
        return _Connection(self.config, self.server_state, self.lifespan.state)

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, but a signal that ended the server in order does not end the process as well."""
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
