"""The one thread that asks the model: whatever waits when it is done with a batch is the next one."""

import threading
import time
import traceback
from collections.abc import Sequence

from scd_lightning.data.rows import Row
from scd_lightning.progress import complain
from scd_lightning.serving.work_queue import Answered, Ticket, WorkQueue
from scd_lightning.use.answers_given import Given
from scd_lightning.use.selective import Selective
from scd_lightning.use.student import Student

# How much the last batch counts in what is said of the speed.
_LAST = 0.2


class StudentFailed(Exception):
    """A defect, or a lack of memory, in place of an answer."""


class Worker:
    """Answers what is in a queue.

    No time is waited for a batch to fill: while the model answers one, the next one gathers. So a single client waits
    for nobody, and many share batches of up to `batch` texts.

    Args:
        student: The student; nobody else may ask it.
        queue: The queue.
        batch: Most texts of a batch.

    Attributes:
        answered: How many texts were answered.
        seconds: What a text takes, of late.
    """

    def __init__(self, student: Student | Selective, queue: WorkQueue, batch: int) -> None:
        self.student, self.queue, self.batch = student, queue, batch
        self.answered, self.seconds = 0, 0.0
        self._thread = threading.Thread(target=self._run, name="student", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, when all that waits is answered."""
        self.queue.close()
        self._thread.join()

    def _run(self) -> None:
        while taken := self.queue.take(self.batch):
            started = time.perf_counter()
            self._answer(taken)
            seconds = (time.perf_counter() - started) / len(taken)
            self.seconds += (seconds - self.seconds) * (_LAST if self.seconds else 1)

    def _answer(self, taken: Sequence[tuple[Ticket, int]]) -> None:
        """Answers a batch; where that fails, one by one: a text that can't be done is not to cost the others theirs."""
        rows = [ticket.rows[place] for ticket, place in taken]
        try:
            given = [each for part in self.student.answer(rows, self.batch) for each in part]
            answers = [
                Answered(answer, self._tokens(row, answer) if ticket.counted else None)
                for row, answer, (ticket, _) in zip(rows, given, taken, strict=True)
            ]
        except Exception as error:  # Whatever it is: the thread has others to answer.
            if len(taken) > 1:
                for each in taken:
                    if not each[0].answers.done():
                        self._answer([each])
                return
            (ticket, _), kind = taken[0], type(error).__name__
            # Without its words, which may hold the text.
            complain(f"a text was not answered: {kind}\n{''.join(traceback.format_tb(error.__traceback__)).rstrip()}")
            self.queue.drop(ticket)
            ticket.fail(StudentFailed(kind))
            return
        # Before they are handed over: who has an answer finds it counted.
        self.answered += len(taken)
        for (ticket, place), answered in zip(taken, answers, strict=True):
            ticket.answer(place, answered)

    def _tokens(self, row: Row, given: Given) -> tuple[int, int] | None:
        # An answer that is not sure enough was written all the same.
        written = given.guess if given.answer is None else given.answer
        return None if written is None else self.student.token_counts(row, written)
