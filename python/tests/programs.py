"""What the tests run in other processes: importable there, under every start method."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import ringway


def echo(asked: Any, answered: Any) -> None:
    for item in iter(lambda: asked.get(timeout=60), None):
        answered.put(item)


def put_all(q: Any, items: Any) -> None:
    for item in items:
        q.put(item)


def put_and_shut_down(q: Any, count: int, cancels: bool) -> None:
    for n in range(count):
        q.put((n, b"x" * 1000))
    if cancels:
        q.cancel_join_thread()
    q.shutdown()


def put_for_ever(q: Any, producer: int, acknowledged: Any) -> None:
    """Puts numbers, and records after each `put` that it returned."""
    number = 0
    while True:
        q.put((producer, number), timeout=60)
        acknowledged[producer] = number + 1
        number += 1


def get_for_ever(q: Any) -> None:
    while True:
        q.get(timeout=60)


def recv_for_ever(q: Any, done: Any) -> None:
    """Receives in place, passes on, releases: a kill in between makes the message come again."""
    while True:
        with q.recv(timeout=60) as frame:
            done.put(frame.decode())


def put_then_kill_self(q: Any, size: int) -> None:
    q.put(b"x" * size)
    os.kill(os.getpid(), signal.SIGKILL)


def hold_and_die(q: Any) -> None:
    frame = q.recv(timeout=60)
    assert frame.decode() is not None
    os.kill(os.getpid(), signal.SIGKILL)


def task_worker(q: Any) -> None:
    for item in iter(lambda: q.get(timeout=60), None):
        time.sleep(item)
        q.task_done()


def task_by_path(path: str) -> None:
    with ringway.JoinableQueue(path=path) as q:
        assert q.get(timeout=60) == "work"
        q.task_done()


def square(q: Any, number: int) -> int:
    q.put(number)
    return number * number


def use_by_path(path: str) -> None:
    with ringway.Queue(path=path) as q:
        q.put(os.getpid())


def pass_on(q: Any, through: Any, arrived: Any) -> None:
    """Stays until the other process has opened what it was sent."""
    through.put({"here": [q]})
    assert arrived.wait(60)


def put_through(through: Any) -> None:
    q = through.get(timeout=60)["here"][0]
    q.put("arrived")


#: Where a queue's file counts how many times one of those that wait for messages, or for room, was
#: about to sleep; or for the end of all tasks (docs/format.md).
MESSAGES, ROOM, TASKS = 0x680, 0x700, 0x780


def until_asleep(q: Any, times: int = 1, at: int = MESSAGES) -> None:
    """Waits until those that wait for the queue were about to sleep so many times."""
    deadline = time.monotonic() + 30
    while int.from_bytes(os.pread(q.fileno(), 8, at), sys.byteorder) >> 8 < times:
        assert time.monotonic() < deadline, "nothing sleeps"
        time.sleep(0.001)
