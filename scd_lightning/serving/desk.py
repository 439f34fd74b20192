"""What all ways to ask have in common: a request's texts as rows, their wait, and the student that they are for."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.types import Receive

from scd_lightning.data.rows import Row
from scd_lightning.errors import ScdError
from scd_lightning.serving.bounds import Bounds
from scd_lightning.serving.refusals import Refusal
from scd_lightning.serving.work_queue import Answered, QueueFull, WorkQueue
from scd_lightning.serving.worker import StudentFailed, Worker
from scd_lightning.use.selective import Selective
from scd_lightning.use.student import Student

# What a client is told to wait where the queue is full: as long as that takes, within these bounds.
_LEAST_WAIT, _MOST_WAIT = 1, 60
# What web servers note down where the client has gone; nobody reads it.
_GONE = 499


@dataclass
class Desk:
    """Takes texts, and hands their answers back.

    Attributes:
        student: The student.
        name: What clients call it.
        digest: The digest of all its files that answers depend on.
        bounds: How much is taken.
        queue: Where texts wait.
        worker: Who answers them.
    """

    student: Student | Selective
    name: str
    digest: str
    bounds: Bounds
    queue: WorkQueue
    worker: Worker

    @classmethod
    def of(cls, student: Student | Selective, name: str, bounds: Bounds, batch: int) -> "Desk":
        """The desk of a student.

        Args:
            student: The student, which nobody else may ask from then on.
            name: What clients call it.
            bounds: How much is taken.
            batch: Most texts of a batch.
        """
        queue = WorkQueue(bounds.queue)
        # Of no rows: of the student alone.
        return cls(student, name, student.digest(()), bounds, queue, Worker(student, queue, batch))

    def rows(self, given: Sequence[str | Mapping[str, Any]]) -> list[Row]:
        """A request's texts as rows.

        Raises:
            Refusal: There are none, or too many, or one is too long, or can't be a row.
        """
        if not given:
            raise Refusal(422, "no_texts", "There are no texts.")
        if len(given) > self.bounds.texts:
            raise Refusal(
                413,
                "too_many_texts",
                f"The request has {len(given):,} texts, and at most {self.bounds.texts:,} are taken at once. Send them "
                "in several requests; a file of any length is answered by `scd predict --file`.",
            )
        for number, each in enumerate(given, 1):
            if (characters := _characters(each)) > self.bounds.characters:
                raise Refusal(
                    413,
                    "text_too_long",
                    f"Text {number} has {characters:,} characters, and at most {self.bounds.characters:,} are taken.",
                )
        try:
            return self.student.rows(given)
        except ScdError as error:
            raise Refusal(422, "invalid_text", str(error)) from error

    async def ask(self, request: Request, rows: Sequence[Row], *, counted: bool = False) -> list[Answered]:
        """The answers to rows, in their order.

        Args:
            request: Where they came from. Once its client has gone, what of them still waits is dropped.
            rows: The rows.
            counted: Whether their tokens are to be counted.

        Raises:
            Refusal: There is no room for them, or the student failed, or the client has gone.
        """
        try:
            ticket = self.queue.put(rows, counted=counted)
        except QueueFull:
            raise self._full(len(rows)) from None
        answers = asyncio.wrap_future(ticket.answers)
        gone = asyncio.ensure_future(_disconnected(request.receive))
        either: list[asyncio.Future[Any]] = [answers, gone]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answers.done():
                raise Refusal(_GONE, "client_gone", "The client has gone.")
            return answers.result()
        except StudentFailed as error:
            raise Refusal(500, "failed", f"The student failed ({error}). The server has printed where.") from error
        finally:
            gone.cancel()
            answers.cancel()
            self.queue.drop(ticket)

    def _full(self, texts: int) -> Refusal:
        seconds = math.ceil(self.worker.seconds * self.queue.waiting)
        wait = min(max(seconds, _LEAST_WAIT), _MOST_WAIT)
        return Refusal(
            429,
            "queue_full",
            f"{self.queue.waiting:,} texts wait, of at most {self.queue.most:,}: there is no room for {texts:,} more. "
            f"Try again in {wait} s.",
            {"Retry-After": str(wait)},
        )


def _characters(given: Any) -> int:
    """Those of a text, or of all that is within a row."""
    if isinstance(given, str):
        return len(given)
    inner = given.values() if isinstance(given, Mapping) else given if isinstance(given, list) else ()
    return sum(map(_characters, inner))


async def _disconnected(receive: Receive) -> None:
    """Ends when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
