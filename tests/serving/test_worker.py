"""The model's thread: batches of what waits, and what becomes of a text that it fails on."""

import pytest

from scd_lightning.data.rows import Row
from scd_lightning.serving.work_queue import WorkQueue
from scd_lightning.serving.worker import StudentFailed, Worker


def rows(*texts):
    return [Row(f"input-{number}", {"text": text}, "input", number) for number, text in enumerate(texts, 1)]


def answered(student, queue, batch=4):
    worker = Worker(student, queue, batch)
    worker.start()
    worker.stop()
    return worker


def test_what_waits_is_a_batch(made_up):
    queue = WorkQueue(100)
    tickets = [queue.put(rows("a", "bbbbbb")), queue.put(rows("c")), *(queue.put(rows("d")) for _ in range(4))]
    worker = answered(made_up, queue)
    assert made_up.begun == [4, 3]
    assert [each.given.answer for each in tickets[0].answers.result()] == ["short", "long"]
    assert all(ticket.answers.done() for ticket in tickets)
    assert (worker.answered, worker.seconds > 0) == (7, True)


def test_tokens_are_counted_where_that_is_wanted(made_up):
    queue = WorkQueue(10)
    counted, plain = queue.put(rows("a", " "), counted=True), queue.put(rows("b"))
    answered(made_up, queue)
    assert [each.tokens for each in counted.answers.result()] == [(7, 2), None]
    assert plain.answers.result()[0].tokens is None


def test_others_do_not_suffer_from_a_text_that_fails(made_up, capsys):
    made_up.broken = {"bad"}
    queue = WorkQueue(10)
    good, bad, later = (queue.put(rows(*texts)) for texts in (["good"], ["fine", "bad", "secret", "rest"], ["later"]))
    worker = answered(made_up, queue)
    assert [each.answers.result()[0].given.answer for each in (good, later)] == ["short", "long"]
    with pytest.raises(StudentFailed, match="ArithmeticError"):
        bad.answers.result()
    assert worker.queue.waiting == 0
    said = capsys.readouterr().err
    assert "ArithmeticError" in said
    assert "secret" not in said
