"""`kill -9` of producers and consumers at random: what was put arrives, and no other process hangs.

`RINGWAY_KILLS` sets the number of kills for each start method; the long form is 3500.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import random
import signal
import time
from typing import Any

import programs
import pytest

import ringway

KILLS = int(os.environ.get("RINGWAY_KILLS", "12"))


def start(mp: Any, target: Any, *arguments: Any) -> Any:
    process = mp.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def test_killed_producers_lose_nothing_that_put_returned_for(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.Queue(overflow="block")
    acknowledged = multiprocessing.get_context(method).Array("q", KILLS, lock=False)
    got: dict[int, list[int]] = {}

    def take(timeout: float) -> None:
        producer, number = q.get(timeout=timeout)
        got.setdefault(producer, []).append(number)

    for producer in range(KILLS):
        process = start(mp, programs.put_for_ever, q, producer, acknowledged)
        for _ in range(random.randrange(1, 200)):
            take(60)
        kill(process)
    while True:
        try:
            take(0.5)
        except queue.Empty:
            break
    for producer in range(KILLS):
        numbers = got.get(producer, [])
        assert numbers == list(range(len(numbers))), "in order, once"
        assert len(numbers) >= acknowledged[producer], "what `put` returned for arrives"
    q.put("still works")
    assert q.get(timeout=5) == "still works"
    q.close()


def test_killed_consumers_in_place_lose_nothing(method: str) -> None:
    mp = ringway.get_context(method)
    q, done = mp.Queue(), mp.Queue()
    sent = 0
    process = start(mp, programs.recv_for_ever, q, done)
    got: set[int] = set()
    for _ in range(KILLS):
        for _ in range(random.randrange(1, 200)):
            q.put(sent)
            sent += 1
        # Some of them are done before the kill.
        got.add(done.get(timeout=60))
        kill(process)
        process = start(mp, programs.recv_for_ever, q, done)
    deadline = time.monotonic() + 60
    while len(got) < sent and time.monotonic() < deadline:
        got.add(done.get(timeout=60))
    assert got == set(range(sent))
    kill(process)
    q.close()
    done.close()


def test_a_killed_getter_leaves_the_queue_to_others(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.Queue()
    waiting = [start(mp, programs.get_for_ever, q) for _ in range(3)]
    for _ in range(3):
        q.put_many([b"x" * 1000] * 50)
        kill(waiting.pop())
    deadline = time.monotonic() + 30
    while not q.empty() and time.monotonic() < deadline:
        with pytest.raises(queue.Empty):
            while True:
                q.get(timeout=0.5)
    q.put(1)
    assert q.get(timeout=5) == 1
    q.close()


def test_a_stopped_process_holds_up_nobody_else(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.Queue()
    process = start(mp, programs.get_for_ever, q)
    q.put(1)
    deadline = time.monotonic() + 30
    while not q.empty() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    q.put(2)
    assert q.get(timeout=5) == 2
    os.kill(process.pid, signal.SIGCONT)
    kill(process)
    q.close()
