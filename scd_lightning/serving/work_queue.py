"""Texts that wait for the model: bounded, and taken in turns, so that no client has to wait for all of another's."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from scd_lightning.data.rows import Row
from scd_lightning.use.answers_given import Given


@dataclass(frozen=True)
class Answered:
    """A text's answer.

    Attributes:
        given: The answer, or why there is none.
        tokens: How many the prompt has, and the answer with its end; None where nobody asked, or there is no answer.
    """

    given: Given
    tokens: tuple[int, int] | None = None


@dataclass(eq=False)
class Ticket:
    """A request's texts, on their way through the model.

    Attributes:
        rows: The texts.
        counted: Whether their tokens are to be counted.
        answers: An answer each in their order, when all are there.
        taken: How many of them the model has begun.
        found: The answers that are there, by place.
    """

    rows: Sequence[Row]
    counted: bool = False
    answers: "Future[list[Answered]]" = field(default_factory=Future)
    taken: int = 0
    found: dict[int, Answered] = field(default_factory=dict)

    def answer(self, place: int, answered: Answered) -> None:
        """Puts a text's answer with the others."""
        self.found[place] = answered
        if len(self.found) == len(self.rows) and not self.answers.done():
            self.answers.set_result([self.found[each] for each in range(len(self.rows))])

    def fail(self, error: Exception) -> None:
        """Has the whole request fail; what of it waits is still to be dropped."""
        if not self.answers.done():
            self.answers.set_exception(error)


class QueueFull(Exception):
    """There is no room for a request's texts."""


class WorkQueue:
    """What lies between the requests and the one thread that asks the model; both may call it at any time.

    Args:
        most: How many texts may wait.

    Attributes:
        waiting: How many do.
    """

    def __init__(self, most: int) -> None:
        self.most, self.waiting = most, 0
        self._tickets: deque[Ticket] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, rows: Sequence[Row], *, counted: bool = False) -> Ticket:
        """Has texts wait, at least one.

        Raises:
            QueueFull: There is no room for all of them.
        """
        ticket = Ticket(rows, counted)
        # From here on nobody but the model's thread can end it, so that its answers never meet a cancelled one.
        ticket.answers.set_running_or_notify_cancel()
        with self._changed:
            if self.waiting + len(rows) > self.most:
                raise QueueFull
            self.waiting += len(rows)
            self._tickets.append(ticket)
            self._changed.notify()
        return ticket

    def take(self, most: int) -> list[tuple[Ticket, int]]:
        """The next texts, one of each request in turn; waits for some.

        Args:
            most: How many at most.

        Returns:
            Ticket and place of each; none when the queue is closed and all are taken.
        """
        taken: list[tuple[Ticket, int]] = []
        with self._changed:
            self._changed.wait_for(lambda: self._tickets or self._closed)
            while self._tickets and len(taken) < most:
                ticket = self._tickets.popleft()
                taken.append((ticket, ticket.taken))
                ticket.taken += 1
                if ticket.taken < len(ticket.rows):
                    self._tickets.append(ticket)
            self.waiting -= len(taken)
        return taken

    def drop(self, ticket: Ticket) -> None:
        """Takes out what waits of a request that nobody wants answered any more."""
        with self._changed:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
                self.waiting -= len(ticket.rows) - ticket.taken

    def close(self) -> None:
        """Has `take` end when all are taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
