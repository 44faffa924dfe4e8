"""Ringway beside other ways between two processes: prints a table, and writes it as SVG.

    python bench.py [--runs 5] [--seconds 0.5] [--out DIRECTORY]

Each figure is the median of interleaved runs. What is not installed is named, and left out.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import queue
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import by_hand
from plot import plot
from ways import MIB, Way, ways

import ringway

mp = multiprocessing.get_context("fork")


def throughput(way: Way, item: Any, seconds: float) -> float:
    """Messages a second, from the first that arrives to the last."""
    channel = way.make()
    results = mp.SimpleQueue()

    def child() -> None:
        recv = way.recv(channel)
        recv()
        begin, count = time.perf_counter(), 0
        while True:
            got = recv()
            if type(got) is str and got == "end":
                break
            count += 1
        results.put(count / (time.perf_counter() - begin))
        os._exit(0)

    process = mp.Process(target=child, daemon=True)
    process.start()
    send = way.send(channel)
    send(item)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(20):
            send(item)
    send("end")
    rate: float = results.get()
    process.join(10)
    return rate


def batches(name: str, item: Any, seconds: float) -> float:
    """`put_many` of 100 and `get_many`; `mp.Queue` has neither, and puts one by one."""
    if name == "mp.Queue":
        return throughput(Way(name, lambda: mp.Queue(64), lambda q: q.put, lambda q: q.get), item, seconds)
    q = ringway.Queue(overflow="block")
    results = mp.SimpleQueue()

    def child() -> None:
        q.get()
        begin, count = time.perf_counter(), 0
        while True:
            got = q.get_many(100)
            count += len(got)
            if got[-1] == "end":
                break
        results.put(count / (time.perf_counter() - begin))
        os._exit(0)

    process = mp.Process(target=child, daemon=True)
    process.start()
    q.put(item)
    items = [item] * 100
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        q.put_many(items)
    q.put("end")
    rate: float = results.get()
    process.join(10)
    return rate


def round_trip(way: Way, item: Any, seconds: float) -> float:
    """Round trips a second."""
    there, back = way.make(), way.make()

    def child() -> None:
        recv, send = way.recv(there), way.send(back)
        while True:
            got = recv()
            send(got)
            if type(got) is str and got == "end":
                time.sleep(0.2)
                os._exit(0)

    process = mp.Process(target=child, daemon=True)
    process.start()
    send, recv = way.send(there), way.recv(back)
    send(item)
    recv()
    begin, count = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        for _ in range(10):
            send(item)
            recv()
        count += 10
    rate = count / (time.perf_counter() - begin)
    send("end")
    process.join(10)
    return rate


def in_place(name: str, seconds: float) -> float:
    """Arrays of 1 MiB that are written in the shared memory, and read there."""
    import numpy as np

    picture = np.zeros(MIB, np.uint8)
    ring = ringway.Ring.memfd(ring_bytes=32 * MIB) if name == "ringway" else by_hand.SharedRing()
    results = mp.SimpleQueue()

    def ours() -> bool:
        with ring.recv() as frame:
            return len(frame) < MIB or frame.array().sum() < 0

    def by_them() -> bool:
        with ring.reading() as (_, view):
            return len(view) < MIB or np.frombuffer(view, np.uint8).sum() < 0

    take = ours if name == "ringway" else by_them

    def child() -> None:
        take()
        begin, count = time.perf_counter(), 0
        while not take():
            count += 1
        results.put(count / (time.perf_counter() - begin))
        os._exit(0)

    def send() -> None:
        if name == "ringway":
            with ring.reserve_array(MIB, "u1") as array:
                array[:] = picture
        else:
            with ring.writing(by_hand.ARRAY, MIB) as view:
                np.frombuffer(view, np.uint8)[:] = picture

    process = mp.Process(target=child, daemon=True)
    process.start()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        send()
    ring.send(b"end")
    rate: float = results.get()
    process.join(10)
    return rate


def many(make: Callable[[], Any], item: Any, seconds: float, count: int = 10) -> float:
    """Messages a second through one queue, by as many processes that put as that get."""
    q, results = make(), mp.SimpleQueue()

    def put() -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(20):
                q.put(item, timeout=60)
        q.put("end", timeout=60)

    def get() -> None:
        taken = 0
        while q.get(timeout=60) != "end":
            taken += 1
        results.put(taken)

    processes = [mp.Process(target=target, daemon=True) for target in (get, put) for _ in range(count)]
    begin = time.perf_counter()
    for process in processes:
        process.start()
    taken = sum(results.get() for _ in range(count))
    rate: float = taken / (time.perf_counter() - begin)
    for process in processes:
        process.join(10)
    return rate


def idle(seconds: float) -> float:
    """The share of a core that a waiting `get` takes."""
    with ringway.Queue() as q:
        begin, cpu = time.perf_counter(), time.process_time()
        with contextlib.suppress(queue.Empty):
            q.get(timeout=max(2.0, seconds))
        return (time.process_time() - cpu) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=Path("."))
    arguments = parser.parse_args()
    found, missing = ways()
    record = {f"key{n}": "x" * 40 for n in range(20)}
    cases: list[tuple[str, list[tuple[str, Callable[[], float]]]]] = []

    def case(title: str, measure: Callable[..., float], item: Any, chosen: list[Way]) -> None:
        seconds = arguments.seconds
        cases.append((title, [(way.name, lambda way=way: measure(way, item, seconds)) for way in chosen]))

    case("64 B bytes, put/get", throughput, b"x" * 64, found)
    named = [("ringway", lambda: batches("ringway", b"x" * 64, arguments.seconds)),
             ("mp.Queue", lambda: batches("mp.Queue", b"x" * 64, arguments.seconds))]  # fmt: skip
    cases.append(("64 B, put_many(100)/get_many", named))
    case("64 B, round trip", round_trip, b"x" * 64, found)
    case("dict of 1 KiB, put/get", throughput, record, found)
    case("dict of 1 KiB, round trip", round_trip, record, found)
    try:
        import numpy as np

        case("numpy 1 MiB, put/get", throughput, np.zeros(MIB, np.uint8), found)
        two = ("ringway", "shm by hand")
        cases.append(("numpy 1 MiB, in place", [(n, lambda n=n: in_place(n, arguments.seconds)) for n in two]))
    except ImportError:
        missing.append("numpy")
    queues: dict[str, Callable[[], Any]] = {
        "ringway": lambda: ringway.Queue(overflow="block"),
        "mp.Queue": lambda: mp.Queue(1024),
    }
    with contextlib.suppress(ImportError):
        from faster_fifo import Queue as Fifo

        queues["faster-fifo"] = lambda: Fifo(32 * MIB)
    by_ten = [(n, lambda make=make: many(make, b"x" * 64, arguments.seconds)) for n, make in queues.items()]
    cases.append(("64 B, 10 x 10 processes", by_ten))
    table: list[tuple[str, dict[str, float]]] = []
    for title, ways_of_case in cases:
        rates: dict[str, list[float]] = {name: [] for name, _ in ways_of_case}
        for _ in range(arguments.runs):
            for name, measure in ways_of_case:
                rates[name].append(measure())
        medians = {name: statistics.median(values) for name, values in rates.items()}
        table.append((title, medians))
        print(f"{title}")
        for name, rate in medians.items():
            print(f"    {name:12} {rate:12,.0f} /s   ringway is {medians['ringway'] / rate:6.2f} times as fast")
    print(f"idle get: {idle(arguments.seconds):.3%} of a core")
    for name in missing:
        print(f"{name} is not installed: left out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for title, medians in table:
        name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
        (arguments.out / f"{name}.svg").write_text(plot(title, medians))
    print(f"plots: {arguments.out.resolve()}/*.svg")


if __name__ == "__main__":
    main()
