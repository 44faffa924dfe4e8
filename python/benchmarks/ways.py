"""The ways to send from one process to another that are compared."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from typing import Any

import by_hand

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
    found.append(Way("shm by hand", by_hand.SharedRing, lambda ring: ring.send, lambda ring: ring.recv))
    try:
        import by_iceoryx2

        found.append(Way("iceoryx2", by_iceoryx2.name, by_iceoryx2.sender, by_iceoryx2.receiver))
    except ImportError:
        missing.append("iceoryx2")
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
