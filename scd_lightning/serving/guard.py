"""What stands between the network and the application: who may ask, and how much may arrive, how slowly."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scd_lightning.serving.bounds import Bounds
from scd_lightning.serving.refusals import Refusal

# What says nothing but what the student is: pages, which ask for a token themselves, and what watches over servers.
OPEN = frozenset({"/", "/docs", "/openapi.json", "/health"})
# The names that always lead to this machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: What clients have to show; None where all may ask.
        hosts: The names under which the server may be called; None for any. A web page may have its own name lead to
            its reader's computer: then the browser sends that name, and lets the page read the answers.
    """

    token: str | None = None
    hosts: frozenset[str] | None = LOOPBACK

    def check(self, path: str, headers: Headers) -> None:
        """Refuses who may not.

        Raises:
            Refusal: The name is another, or the token is.
        """
        host = headers.get("host")
        if self.hosts is not None and host is not None and _name(host) not in self.hosts:
            named = ", ".join(sorted(self.hosts))
            raise Refusal(
                403, "unknown_host", f"The server is called by another name than {named}: with a token it may be."
            )
        if self.token is None or path in OPEN:
            return
        kind, _, shown = headers.get("authorization", "").partition(" ")
        # In a time that says nothing of how much of it was right.
        right = secrets.compare_digest(shown.strip().encode(), self.token.encode())
        if kind.lower() != "bearer" or not right:
            raise Refusal(
                401,
                "invalid_api_key",
                "The token is missing or wrong: send it as Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": "Bearer"},
            )


class Guard:
    """Middleware that refuses before a body is read, and stops reading where it is too long or too slow.

    Args:
        app: The application.
        bounds: How much may arrive.
        access: Who may ask.

    Attributes:
        open: How many requests are open.
        stopping: Whether the server is about to end: then no connection outlives its answer.
    """

    def __init__(self, app: ASGIApp, bounds: Bounds, access: Access) -> None:
        self.app, self.bounds, self.access = app, bounds, access
        self.open, self.stopping = 0, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def told(message: Message) -> None:
            if self.stopping and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        try:
            with self._counted():
                self.access.check(scope["path"], headers)
                if scope["method"] == "POST":
                    self._check_body(headers)
                await self.app(scope, self._bounded(receive), told)
        except Refusal as refusal:
            await refusal.response()(scope, receive, told)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self.open >= self.bounds.requests:
            raise Refusal(
                429,
                "too_many_requests",
                f"{self.open:,} requests are open, which is as many as are taken. Try again later.",
                {"Retry-After": "1"},
            )
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    def _check_body(self, headers: Headers) -> None:
        """By what is said of it."""
        # Web pages of others may send anything but this without being asked for leave first.
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(
                415,
                "not_json",
                "The body has to be JSON, with the header Content-Type: application/json (curl --json).",
            )
        said = headers.get("content-length", "0")
        if int(said) > self.bounds.body:
            raise self._too_large(int(said))

    def _bounded(self, receive: Receive) -> Receive:
        """Reads a body as far as it may go, whatever was said of its length."""
        arrived, whole = 0, False
        ends = asyncio.get_running_loop().time() + self.bounds.body_seconds

        async def bounded() -> Message:
            nonlocal arrived, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                raise Refusal(
                    408,
                    "too_slow",
                    f"The body was not there after {self.bounds.body_seconds:g} s.",
                    {"Connection": "close"},
                ) from None
            arrived += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if arrived > self.bounds.body:
                raise self._too_large(arrived)
            return message

        return bounded

    def _too_large(self, found: int) -> Refusal:
        return Refusal(
            413,
            "body_too_large",
            f"The body has {found:,} bytes or more, and at most {self.bounds.body:,} are taken. Send the texts in "
            "several requests.",
        )


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
