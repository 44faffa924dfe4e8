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
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ringway

mp = multiprocessing.get_context("fork")
MIB = 1 << 20


class Way:
    """A way to send from the parent to a child: `open` in both, then `send` and `recv`."""

    def __init__(self, name: str, make: Callable[[], Any], send: Callable[..., Any], recv: Callable[..., Any]) -> None:
        self.name, self.make, self.send, self.recv = name, make, send, recv


def ways() -> tuple[list[Way], list[str]]:
    def put(q: Any) -> Any:
        return q.put

    def get(q: Any) -> Any:
        return q.get

    found = [
        Way("ringway", lambda: ringway.Queue(overflow="block", ring_bytes=32 * MIB), put, get),
        # Bounded, as its feeder's list would otherwise take all that one second can make; it locks a
        # semaphore in either case.
        Way("mp.Queue", lambda: mp.Queue(64), put, get),
        Way("mp.Pipe", mp.Pipe, lambda ends: ends[0].send, lambda ends: ends[1].recv),
    ]
    missing = []
    try:
        from faster_fifo import Queue as Fifo

        found.append(Way("faster-fifo", lambda: Fifo(32 * MIB), lambda q: lambda x: q.put(x, timeout=1e6),
                         lambda q: lambda: q.get(timeout=1e6)))  # fmt: skip
    except ImportError:
        missing.append("faster-fifo")
    try:
        import zmq

        def address() -> str:
            return f"ipc://{tempfile.mkdtemp()}/socket"

        def push(where: str) -> Any:
            socket = zmq.Context().socket(zmq.PUSH)
            socket.bind(where)
            return _zmq_send(socket)

        def pull(where: str) -> Any:
            socket = zmq.Context().socket(zmq.PULL)
            socket.connect(where)
            return _zmq_recv(socket)

        found.append(Way("pyzmq ipc", address, push, pull))
    except ImportError:
        missing.append("pyzmq")
    return found, missing


def _zmq_send(socket: Any) -> Any:
    import pickle

    def send(item: Any) -> None:
        socket.send(item if type(item) is bytes else pickle.dumps(item, 5))

    send.socket = socket  # type: ignore[attr-defined]
    return send


def _zmq_recv(socket: Any) -> Any:
    import pickle

    def recv() -> Any:
        data = socket.recv()
        return pickle.loads(data) if data[:1] == b"\x80" else data

    return recv


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
    except ImportError:
        missing.append("numpy")
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


def plot(title: str, medians: dict[str, float]) -> str:
    """Bars, as long as the rates."""
    width, height = 640, 50 + 30 * len(medians)
    most = max(medians.values())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="24" font-size="15">{title}: messages a second</text>',
    ]
    for row, (name, rate) in enumerate(medians.items()):
        y = 40 + 30 * row
        lines.append(f'<text x="10" y="{y + 16}">{name}</text>')
        colour = "#c0392b" if name == "ringway" else "#7f8c8d"
        lines.append(f'<rect x="110" y="{y}" width="{max(1, 400 * rate / most):.0f}" height="22" fill="{colour}"/>')
        lines.append(f'<text x="{118 + 400 * rate / most:.0f}" y="{y + 16}">{rate:,.0f}</text>')
    return "\n".join([*lines, "</svg>\n"])


if __name__ == "__main__":
    main()
