"""Texts wait within a bound, and are taken in turns."""

import threading

import pytest

from scd_lightning.data.rows import Row
from scd_lightning.serving.work_queue import Answered, QueueFull, WorkQueue
from scd_lightning.use.answers_given import Given


def rows(count, name="r"):
    return [Row(f"{name}{number}", {}, "input", number) for number in range(count)]


def names(taken):
    return [ticket.rows[place].id for ticket, place in taken]


def test_requests_are_served_in_turns():
    queue = WorkQueue(100)
    queue.put(rows(5, "a"))
    queue.put(rows(1, "b"))
    queue.put(rows(2, "c"))
    assert queue.waiting == 8
    assert names(queue.take(4)) == ["a0", "b0", "c0", "a1"]
    assert names(queue.take(10)) == ["c1", "a2", "a3", "a4"]
    assert queue.waiting == 0


def test_what_finds_no_room_is_refused_whole():
    queue = WorkQueue(3)
    queue.put(rows(2))
    with pytest.raises(QueueFull):
        queue.put(rows(2))
    assert queue.waiting == 2
    queue.put(rows(1))
    queue.take(1)
    queue.put(rows(1))


def test_what_waits_of_a_dropped_request_is_not_taken():
    queue = WorkQueue(10)
    gone, kept = queue.put(rows(3, "gone")), queue.put(rows(3, "kept"))
    queue.take(2)
    queue.drop(gone)
    assert queue.waiting == 2
    queue.drop(gone)
    assert names(queue.take(10)) == ["kept1", "kept2"]
    queue.drop(kept)
    assert queue.waiting == 0


def test_answers_are_there_when_the_last_one_is_in_their_order():
    ticket = WorkQueue(10).put(rows(2))
    one, two = (Answered(Given(name, "x")) for name in "ab")
    ticket.answer(1, two)
    assert not ticket.answers.done()
    ticket.answer(0, one)
    assert ticket.answers.result() == [one, two]
    ticket.fail(ValueError())
    assert ticket.answers.result() == [one, two]


def test_taking_waits_for_something_or_the_end():
    queue, found = WorkQueue(10), list[list[str]]()
    thread = threading.Thread(target=lambda: found.extend(names(queue.take(5)) for _ in range(2)))
    thread.start()
    queue.put(rows(1))
    while queue.waiting:
        pass
    queue.close()
    thread.join(10)
    assert found == [["r0"], []]
