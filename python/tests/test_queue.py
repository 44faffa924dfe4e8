"""The contract of `multiprocessing.Queue`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest

import ringway

VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, 2**200, 0.0, -1.5, float("inf"), b"", b"bytes",
    b"x" * 100_000, "", "text", "üñí\0", "\ud800", bytearray(b"changes"), {"a": [1, (2, 3)]}, [None], (), {1, 2},
    ValueError("no"), range(3), Path("/x"), memoryview, len,
]  # fmt: skip


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Exception):
        return type(one) is type(other) and one.args == other.args
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_what_is_put_is_got(value: Any) -> None:
    with ringway.Queue() as q:
        q.put(value)
        assert same(q.get(timeout=1), value)
        assert q.empty()


def test_subclasses_of_small_types_stay_what_they_are() -> None:
    class Text(str):
        pass

    globals()["Text"] = Text
    Text.__qualname__ = "Text"
    with ringway.Queue() as q:
        q.put(Text("x"))
        assert type(q.get()) is Text


def test_order_and_size() -> None:
    with ringway.Queue() as q:
        q.put_many(range(100))
        assert q.qsize() == 100 and not q.empty() and not q.full()
        assert q.get_many(10) == list(range(10))
        assert q.get_many(1000) == list(range(10, 100))
        assert q.empty()


def test_timeouts_and_their_exceptions() -> None:
    with ringway.Queue() as q:
        for call in (lambda: q.get(False), q.get_nowait, lambda: q.get(timeout=0), lambda: q.get(True, -1)):
            begin = time.monotonic()
            with pytest.raises(queue.Empty):
                call()
            assert time.monotonic() - begin < 0.05
        begin = time.monotonic()
        with pytest.raises(queue.Empty):
            q.get(timeout=0.2)
        assert 0.2 <= time.monotonic() - begin < 0.3
        with pytest.raises(ValueError, match="nan"):
            q.get(timeout=float("nan"))


def test_a_closed_queue_raises_value_error() -> None:
    q: ringway.Queue[int] = ringway.Queue()
    q.put(1)
    q.close()
    q.close()
    with pytest.raises(ValueError, match="is closed"):
        q.put(1)
    with pytest.raises(ValueError, match="is closed"):
        q.get()
    with pytest.raises(OSError, match="is closed"):
        q.empty()
    q.join_thread()


def test_errors_of_pickling_come_from_put_and_the_queue_goes_on() -> None:
    with ringway.Queue() as q:
        with pytest.raises((pickle.PicklingError, AttributeError)):
            q.put(lambda: None)
        q.put(1)
        assert q.get(timeout=1) == 1


class BadUnpickling:
    def __reduce__(self) -> Any:
        return _raise, ()


def _raise() -> None:
    raise RuntimeError("while unpickling")


def test_errors_of_unpickling_come_from_get_once() -> None:
    with ringway.Queue() as q:
        q.put(BadUnpickling())
        q.put(2)
        with pytest.raises(RuntimeError, match="while unpickling"):
            q.get(timeout=1)
        assert q.get(timeout=1) == 2
        q.put_many([1, BadUnpickling(), 3])
        assert q.get_many(10) == [1]
        with pytest.raises(RuntimeError):
            q.get_many(10)
        assert q.get_many(10) == [3]


def test_no_late_changes() -> None:
    with ringway.Queue() as q:
        item = [1]
        q.put(item)
        item.append(2)
        assert q.get() == [1]


def test_larger_than_the_file_names_both_sizes() -> None:
    with ringway.Queue(ring_bytes=1 << 16) as q:
        with pytest.raises(ValueError, match=r"1000001 bytes.*at most \d+"):
            q.put(b"x" * 1_000_000)
        q.put(b"x" * 30_000)


def test_unbounded_put_never_waits_and_order_is_kept() -> None:
    with ringway.Queue(ring_bytes=1 << 16) as q:
        items = [bytes([n % 256]) * 1000 for n in range(1000)]
        begin = time.monotonic()
        for item in items:
            q.put(item)
        assert time.monotonic() - begin < 5
        assert q.qsize() == 1000
        assert [q.get(timeout=5) for _ in items] == items
        q.put(b"after")
        assert q.get(timeout=5) == b"after"


def test_two_threads_that_find_the_file_full_at_once_lose_nothing() -> None:
    class Delayed(ringway.Queue[tuple[str, int]]):
        """Between finding the file full and beginning a list, the first thread has another one do both."""

        def _join_at_exit(self) -> None:
            global was_delayed
            if not was_delayed:
                was_delayed = True
                other = threading.Thread(target=self.put, args=(("other", 0),))
                other.start()
                other.join(30)
            super()._join_at_exit()

    global was_delayed
    was_delayed = False
    with Delayed(max_participants=8) as q:
        # Full of objects: there is no room for another producer's, either.
        filled = 0
        while not was_delayed:
            q.put(("first", filled))
            filled += 1
        for n in range(20):
            q.put(("later", n))
        got = [q.get(timeout=10) for _ in range(filled + 21)]
        expected = [("first", n) for n in range(filled)] + [("other", 0)] + [("later", n) for n in range(20)]
        assert sorted(got) == sorted(expected)
        assert [n for text, n in got if text == "later"] == list(range(20))
        with pytest.raises(queue.Empty):
            q.get(timeout=0.2)


was_delayed = False


def test_overflow_block_waits() -> None:
    with ringway.Queue(ring_bytes=1 << 16, overflow="block") as q:
        with pytest.raises(queue.Full):
            for _ in range(1000):
                q.put(b"x" * 1000, timeout=0.05)
        assert q.qsize() < 100


def test_other_processes(method: str) -> None:
    mp = ringway.get_context(method)
    asked, answered = mp.Queue(), mp.Queue()
    process = mp.Process(target=programs.echo, args=(asked, answered))
    process.start()
    items = [1, "two", {"three": 3}, b"4" * 10_000]
    asked.put_many(items)
    assert [answered.get(timeout=30) for _ in items] == items
    asked.put(None)
    process.join(30)
    assert process.exitcode == 0
    asked.close()
    answered.close()


def test_as_an_argument_of_pools_and_executors(method: str) -> None:
    with ringway.Queue() as q:
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.starmap(programs.square, [(q, n) for n in range(10)]) == [n * n for n in range(10)]
        assert sorted(q.get(timeout=5) for _ in range(10)) == list(range(10))
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(programs.square, [q] * 5, range(5))) == [0, 1, 4, 9, 16]
        assert sorted(q.get(timeout=5) for _ in range(5)) == list(range(5))


def test_a_context_with_our_queues_runs_pools_and_executors(method: str) -> None:
    mp = ringway.get_context(method)
    with mp.Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=mp) as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]


def test_inside_other_objects_and_twice(method: str) -> None:
    mp = ringway.get_context(method)
    through, q, arrived = mp.Queue(), mp.Queue(), mp.Event()
    sender = mp.Process(target=programs.pass_on, args=(q, through, arrived))
    receiver = mp.Process(target=programs.put_through, args=(through,))
    sender.start()
    receiver.start()
    assert q.get(timeout=30) == "arrived"
    arrived.set()
    sender.join(30)
    receiver.join(30)
    assert (sender.exitcode, receiver.exitcode) == (0, 0)


def test_by_path(path: Path, method: str) -> None:
    mp = multiprocessing.get_context(method)
    with ringway.Queue(path=path) as q:
        process = mp.Process(target=programs.use_by_path, args=(str(path),))
        process.start()
        assert q.get(timeout=30) == process.pid
        process.join(30)
        assert q.path == path
        q.unlink()
        assert not path.exists()


def test_never_another_queue_of_the_same_name(path: Path) -> None:
    q: ringway.Queue[int] = ringway.Queue(path=path)
    passed = pickle.dumps(q)
    q.unlink()
    q.close()
    with ringway.Queue(path=path) as other, pytest.raises(ringway.MismatchError, match="another queue"):
        assert other.empty()
        pickle.loads(passed)


def test_passed_by_a_process_that_is_gone_says_so() -> None:
    q: ringway.Queue[int] = ringway.Queue()
    passed = pickle.dumps(q)
    q.close()
    with pytest.raises((FileNotFoundError, ringway.MismatchError)):
        pickle.loads(passed)


def test_forked_child_of_a_process_that_used_it() -> None:
    with ringway.Queue() as q:
        q.put(1)
        assert q.get() == 1
        child = os.fork()
        if child == 0:
            try:
                q.put("child")
                assert q.get(timeout=5) == "child"
                q.put("again")
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert q.get(timeout=5) == "again"


def test_fork_while_a_thread_waits() -> None:
    with ringway.Queue() as q:
        got: list[Any] = []
        thread = threading.Thread(target=lambda: got.append(q.get(timeout=30)))
        thread.start()
        programs.until_asleep(q)
        child = os.fork()
        if child == 0:
            try:
                q.put("from the child")
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        thread.join(30)
        assert got == ["from the child"]


def test_threads_share_a_queue() -> None:
    with ringway.Queue() as q:
        got: list[int] = []

        def take() -> None:
            for item in iter(lambda: q.get(timeout=30), None):
                got.append(item)

        takers = [threading.Thread(target=take) for _ in range(4)]
        putters = [threading.Thread(target=lambda n=n: [q.put(n * 1000 + i) for i in range(1000)]) for n in range(4)]
        for thread in takers + putters:
            thread.start()
        for thread in putters:
            thread.join(60)
        for _ in takers:
            q.put(None)
        for thread in takers:
            thread.join(60)
        assert sorted(got) == sorted(n * 1000 + i for n in range(4) for i in range(1000))


def test_shutdown() -> None:
    with ringway.Queue() as q:
        q.put(1)
        q.shutdown()
        with pytest.raises(ringway.ShutDown):
            q.put(2)
        assert q.get() == 1
        with pytest.raises(ringway.ShutDown):
            q.get()
        assert list(q) == []
    with ringway.Queue() as q:
        q.put(1)
        q.shutdown(immediate=True)
        with pytest.raises(ringway.ShutDown):
            q.get()


def test_shutdown_keeps_what_was_put_before() -> None:
    with ringway.JoinableQueue(ring_bytes=1 << 16) as q:
        for n in range(200):
            q.put((n, b"x" * 1000))
        assert q.unfinished < 200
        q.shutdown()
        with pytest.raises(ringway.ShutDown):
            q.put("more")
        for n in range(200):
            assert q.get(timeout=10)[0] == n
            q.task_done()
        with pytest.raises(ringway.ShutDown):
            q.get(timeout=10)
        q.join()
        q.join_thread()


def test_shutdown_by_a_process_that_ends_at_once() -> None:
    for cancels in (False, True):
        with ringway.Queue(ring_bytes=1 << 16) as q:
            process = multiprocessing.get_context("fork").Process(
                target=programs.put_and_shut_down, args=(q, 200, cancels)
            )
            process.start()
            if cancels:
                process.join(30)
            got = list(q)
            assert got == [(n, b"x" * 1000) for n in range(len(got))]
            assert len(got) < 200 if cancels else len(got) == 200
            process.join(30)
            assert process.exitcode == 0


@pytest.mark.parametrize("tells", ["join_thread", "join"])
def test_what_another_ones_shutdown_refused_is_told(path: Path, tells: str) -> None:
    with ringway.JoinableQueue(path=path, ring_bytes=1 << 16) as q, ringway.JoinableQueue(path=path) as other:
        for n in range(200):
            q.put((n, b"x" * 1000))
        other.shutdown()
        for _ in range(other.qsize()):
            other.get(timeout=10)
            other.task_done()
        until = time.monotonic() + 30
        while q.qsize() and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(ringway.ShutDown):
            getattr(q, tells)()


@pytest.mark.parametrize("count", [3, 200])
def test_an_immediate_shutdown_ends_join(count: int) -> None:
    with ringway.JoinableQueue(ring_bytes=1 << 16) as q:
        q.put("in work")
        for n in range(count):
            q.put((n, b"x" * 1000))
        q.get(timeout=10)
        joined = threading.Thread(target=q.join, daemon=True)
        joined.start()
        q.shutdown(immediate=True)
        assert q.unfinished == 1 and q.qsize() == 0
        q.task_done()
        joined.join(10)
        assert not joined.is_alive()
        with pytest.raises(ringway.ShutDown):
            q.get()
        with pytest.raises(ringway.ShutDown):
            q.put("more")
        q.join_thread()


class Reused(Sequence[Any]):
    """Every element is the same array."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.array = np.zeros(1000)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        if index >= self.count:
            raise IndexError
        self.array[:] = index
        return {"array": self.array} if index % 2 else self.array


def test_put_many_puts_what_each_object_was() -> None:
    with ringway.Queue() as q:
        assert q.put_many(Reused(20)) == 20
        for index in range(20):
            got = q.get(timeout=1)
            assert (got["array"] if index % 2 else got)[0] == index


def test_put_many_of_any_kind_of_objects_in_order() -> None:
    objects: list[Any] = [b"x" * 100_000, *range(1000), b"y" * 300_000, {"a": 1}, *["text"] * 300, b"z" * 70_000] * 3
    with ringway.Queue(maxsize=300) as q:
        got: list[Any] = []

        def get() -> None:
            while len(got) < 2 * len(objects):
                got.extend(q.get_many(77, timeout=10))

        thread = threading.Thread(target=get)
        thread.start()
        assert q.put_many(objects) == len(objects)
        assert q.put_many(iter(objects)) == len(objects)
        thread.join()
        assert got == objects * 2


@pytest.mark.parametrize("maxsize", [1, 2, 5, 300, 1000])
def test_put_many_fills_exactly(maxsize: int) -> None:
    with ringway.Queue(maxsize) as q:
        for taken in (maxsize, 1):
            begin = time.monotonic()
            assert q.put_many(list(range(2000)), timeout=0.1) == taken
            assert time.monotonic() - begin < 1
            assert q.full() and q.qsize() == maxsize
            assert q.put_many([1, 2], block=False) == 0
            assert q.get() == 0 or maxsize == 1 or taken == 1
        assert len(q.get_many(5000)) == maxsize - 1 if maxsize > 1 else q.empty()


def test_put_many_puts_what_comes_before_an_error() -> None:
    def objects() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("three")

    with ringway.Queue() as q:
        for many in ([1, 2, lambda: 3, 4], objects(), [1, 2, b"x" * (8 << 20), 4]):
            with pytest.raises((AttributeError, pickle.PicklingError, KeyError, ValueError)):
                q.put_many(many)
            assert q.get_many(10) == [1, 2]


def test_put_many_of_an_iterator_waits_for_none() -> None:
    with ringway.Queue() as q, ringway.Queue() as answers:

        def objects() -> Iterator[int]:
            for number in range(3):
                yield number
                answers.put(q.get(timeout=5))

        assert q.put_many(objects()) == 3
        assert answers.get_many(10) == [0, 1, 2]


def test_put_many_of_a_full_file_keeps_the_order() -> None:
    with ringway.Queue(ring_bytes=1 << 16) as q:
        objects = [b"%d" % number * 100 for number in range(2000)]
        assert q.put_many(objects) == len(objects)
        got: list[bytes] = []
        while len(got) < len(objects):
            got += q.get_many(64, timeout=10)
        assert got == objects


def test_get_many_puts_back_what_it_could_not_read() -> None:
    with ringway.Queue() as q:
        q.put_many([*range(10), BadUnpickling(), *range(10)])
        assert q.get_many(100) == list(range(10))
        assert q.qsize() == 11
        with pytest.raises(RuntimeError, match="while unpickling"):
            q.get_many(100)
        assert q.get_many(100) == list(range(10))
        assert q.get_many(0) == []
        with pytest.raises(queue.Empty):
            q.get_many(5, timeout=0.01)


def test_ctrl_c_ends_a_wait(path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ringway.Queue() as q, ringway.Queue(overflow="block", ring_bytes=1 << 16) as full:
            with pytest.raises(queue.Full):
                while True:
                    full.put(b"x" * 10_000, block=False)
            for wait in (q.get, lambda: full.put(b"x" * 10_000), q.recv):
                for delay in (0.001, 0.02, 0.3):
                    begin = time.monotonic()
                    with pytest.raises(Interrupted):
                        # In here: a busy machine may take longer than the shortest delay to get here.
                        signal.setitimer(signal.ITIMER_REAL, delay)
                        wait()
                    assert time.monotonic() - begin < delay + 0.05
    finally:
        signal.signal(signal.SIGALRM, before)


def test_handlers_run_during_a_wait_which_goes_on() -> None:
    seen: list[Any] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(q.get(timeout=5)))
    try:
        for kind in ("mpmc", "spsc"):
            with ringway.Ring.memfd(kind=kind) as ring, ringway.Queue() as q:
                for wait in (ring.recv,) if kind == "spsc" else (q.get, q.recv, ring.recv):
                    seen.clear()
                    # Handled within the wait, by a wait of the handler's own.
                    q.put("handled")
                    if wait == ring.recv:
                        sends = threading.Timer(0.3, ring.send, [b"sent"])
                    else:
                        q.get()
                        threading.Timer(0.1, q.put, ["handled"]).start()
                        sends = threading.Timer(0.3, q.put, ["sent"])
                    signal.setitimer(signal.ITIMER_REAL, 0.02)
                    sends.start()
                    wait(timeout=10)
                    assert seen in (["handled"], ["sent"])
                    sends.join()
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("method", ["get", "recv"])
def test_an_idle_wait_wakes_rarely(method: str) -> None:
    """Each wake costs some 50 µs of a processor's time: at most 30 in a second, of a thread that handles signals."""
    wakes: list[int] = []
    with ringway.Queue() as q:
        # Not at the beginning, when it polls, and sleeps for short times.
        timers = [threading.Timer(after, lambda: wakes.append(switches())) for after in (0.5, 2.5)]
        for timer in timers:
            timer.start()
        with pytest.raises(queue.Empty):
            getattr(q, method)(timeout=3)
    assert 2 <= wakes[1] - wakes[0] <= 60


def switches() -> int:
    """How often the main thread has slept."""
    lines = Path(f"/proc/self/task/{os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_ctrl_c_ends_a_commit_and_what_it_reserved() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ringway.Ring.memfd(max_messages=2) as ring:
            ring.send(b"1")
            ring.send(b"2")
            with pytest.raises(Interrupted), ring.reserve(1):
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                begin = time.monotonic()
            assert time.monotonic() - begin < 0.15
            assert [bytes(ring.recv()) for _ in range(2)] == [b"1", b"2"]
            with pytest.raises(queue.Empty):
                ring.recv(block=False)
            ring.send(b"3")
            ring.send(b"4")
            threading.Timer(0.1, lambda: bytes(ring.recv())).start()
            with ring.reserve(1) as view:
                view[:] = b"5"
            assert [bytes(ring.recv()) for _ in range(2)] == [b"4", b"5"]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_allow_pickle_false_never_unpickles(path: Path) -> None:
    with ringway.Queue(path=path) as q, ringway.Queue(path=path, allow_pickle=False) as careful:
        q.put(BadUnpickling())
        with pytest.raises(ringway.PickleRefused, match="allow_pickle=True"):
            careful.get(timeout=1)
        assert careful.qsize() == 1, "nothing is lost"
        with pytest.raises(RuntimeError, match="while unpickling"):
            q.get(timeout=1)
        q.put("plain")
        assert careful.get(timeout=1) == "plain"


def test_hostile_messages_are_errors(path: Path) -> None:
    ring = ringway.Ring.create(path)
    with ringway.Queue(path=path) as q:
        for message in (b"", b"\xff", b"\x04123", b"\x07\xff\xff", b"\x11\0\0\0\xff\xff\xff\xff" + b"\xff" * 40,
                        b"\x20\0\xff\xff\xff\xff\xff\xff", b"\x20\0\x02\0\x01\0\0\0" + b"\xff" * 8 + b"|O",
                        b"\x20\0\x03\0\x01\0\0\0" + b"\x01" + b"\0" * 7 + b"<f8", b"\x11"):  # fmt: skip
            ring.send(message)
            with pytest.raises(ValueError):
                q.get(timeout=1)
        assert q.empty()
    ring.close()


def test_garbage_collection_closes() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        q: ringway.Queue[int] = ringway.Queue()
        q.put(1)
        q.get()
        del q
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_joinable(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.JoinableQueue()
    with pytest.raises(ValueError, match="too many"):
        q.task_done()
    workers = [mp.Process(target=programs.task_worker, args=(q,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in range(20):
        q.put(0.001)
    q.join()
    assert q.empty()
    for _ in workers:
        q.put(None)
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    q.close()


def test_a_killed_process_keeps_no_lock_of_a_joinable_queue(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.JoinableQueue()
    process = mp.Process(target=programs.task_worker, args=(q,))
    process.start()
    q.put(0)
    q.join()
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    q.put(1)
    q.get(timeout=5)
    q.task_done()
    q.join()
    q.close()


def test_a_named_joinable_queue_counts_for_every_process(path: Path, method: str) -> None:
    with ringway.JoinableQueue(path=path) as q:
        q.put("work")
        assert q.unfinished == 1
        mp = multiprocessing.get_context(method)
        worker = mp.Process(target=programs.task_by_path, args=(str(path),))
        worker.start()
        q.join()
        assert q.unfinished == 0
        worker.join(30)
        assert worker.exitcode == 0
        with pytest.raises(ValueError, match="too many"):
            q.task_done()


def test_what_a_killed_worker_had_received_comes_again_and_counts(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.JoinableQueue()
    q.put("job")
    worker = mp.Process(target=programs.hold_and_die, args=(q,))
    worker.start()
    worker.join(30)
    assert q.unfinished == 1
    with q.recv(timeout=5) as frame:
        assert frame.decode() == "job" and frame.redeliveries == 1
        q.task_done()
    q.join()
    q.close()


def test_join_waits_for_what_is_not_in_the_file_yet() -> None:
    with ringway.JoinableQueue(ring_bytes=1 << 16) as q:

        def work() -> None:
            for _ in range(200):
                q.get(timeout=30)
                q.task_done()

        for _ in range(200):
            q.put(b"x" * 1000)
        assert q.qsize() == 200 and q.unfinished < 200
        thread = threading.Thread(target=work)
        thread.start()
        q.join()
        assert q.unfinished == 0 and q.empty()
        thread.join(30)


def test_join_waits_for_what_passes_through_the_list_meanwhile() -> None:
    def spin(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass

    with ringway.JoinableQueue(ring_bytes=1 << 16) as q:
        for _ in range(2):
            q.put(b"x" * 30_000)
        parents = [q.recv(timeout=5) for _ in range(2)]
        joining = threading.Thread(target=q.join, daemon=True)
        joining.start()
        programs.until_asleep(q, at=programs.TASKS)
        # This thread keeps the GIL: the other one finds everything in the file done, and finds the child
        # neither in the file, when it looked, nor in the list, when it goes on.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(30)
        try:
            q.put(b"x" * 30_000)
            assert q.unfinished == 2
            for _ in parents:
                q.task_done()
            spin(0.2)
            for parent in parents:
                parent.release()
            spin(0.2)
        finally:
            sys.setswitchinterval(interval)
        joining.join(0.3)
        assert joining.is_alive() and q.unfinished == 1
        q.get(timeout=10)
        q.task_done()
        joining.join(10)
        assert not joining.is_alive()


def test_task_done_takes_no_place_of_a_participant() -> None:
    with ringway.JoinableQueue(max_participants=2) as q:
        q.put("job")
        with q.recv(timeout=5):
            q.task_done()
        q.join()
    with ringway.JoinableQueue(max_participants=2) as q:
        q.put("job")
        assert asyncio.run(q.aget()) == "job"
        q.task_done()
        q.join()


def test_ctrl_c_ends_join() -> None:
    with ringway.JoinableQueue() as q:
        q.put(1)
        failed: list[BaseException] = []

        def interrupt() -> None:
            try:
                programs.until_asleep(q, at=programs.TASKS)
            except BaseException as error:
                failed.append(error)
            # In any case: what fails here must end the wait, and be told.
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            q.join()
        thread.join(30)
        assert not failed, failed


@pytest.mark.parametrize("maxsize", [1, 2, 3, 6, 100])
def test_maxsize_is_exact(maxsize: int) -> None:
    with ringway.Queue(maxsize) as q:
        for lap in range(3):
            for n in range(maxsize):
                assert not q.full()
                q.put((lap, n), block=False)
            assert q.full() and q.qsize() == maxsize
            with pytest.raises(queue.Full):
                q.put_nowait("more")
            with pytest.raises(queue.Full):
                q.put("more", timeout=0.02)
            assert [q.get(timeout=1) for _ in range(maxsize)] == [(lap, n) for n in range(maxsize)]


def test_a_full_queue_wakes_who_waits_for_room() -> None:
    with ringway.Queue(1) as q:
        q.put(0)
        thread = threading.Thread(target=lambda: [q.put(n) for n in range(1, 200)])
        thread.start()
        assert [q.get(timeout=10) for _ in range(200)] == list(range(200))
        thread.join(10)
