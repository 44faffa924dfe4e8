"""What programs write by hand: a ring of slots in `shared_memory`, and two semaphores."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import shared_memory
from typing import Any

mp = multiprocessing.get_context("fork")

SLOTS = 16
ROOM = (1 << 20) + 64
BYTES, PICKLE, ARRAY = 0, 1, 2


def encode(item: Any) -> tuple[int, Any]:
    """A tag, and a buffer."""
    if type(item) is bytes:
        return BYTES, item
    if type(item).__module__ == "numpy" and type(item).__name__ == "ndarray":
        return ARRAY, memoryview(item).cast("B")
    return PICKLE, pickle.dumps(item, 5)


def decode(tag: int, data: memoryview) -> Any:
    if tag == BYTES:
        return bytes(data)
    if tag == ARRAY:
        import numpy as np

        return np.frombuffer(data, np.uint8).copy()
    return pickle.loads(data)


class SharedRing:
    """For one producer and one consumer. A peer that is killed keeps the other waiting for ever."""

    def __init__(self) -> None:
        self.memory = shared_memory.SharedMemory(create=True, size=SLOTS * ROOM)
        self.free, self.full = mp.Semaphore(SLOTS), mp.Semaphore(0)
        self.at = 0
        # Its name is of no use: the other process is forked.
        self.memory.unlink()

    @contextmanager
    def writing(self, tag: int, size: int) -> Iterator[memoryview]:
        self.free.acquire()
        base = self.at * ROOM
        assert self.memory.buf is not None
        self.memory.buf[base : base + 9] = size.to_bytes(8, "little") + bytes([tag])
        yield self.memory.buf[base + 64 : base + 64 + size]
        self.at = (self.at + 1) % SLOTS
        self.full.release()

    @contextmanager
    def reading(self) -> Iterator[tuple[int, memoryview]]:
        self.full.acquire()
        base = self.at * ROOM
        assert self.memory.buf is not None
        size = int.from_bytes(self.memory.buf[base : base + 8], "little")
        yield self.memory.buf[base + 8], self.memory.buf[base + 64 : base + 64 + size]
        self.at = (self.at + 1) % SLOTS
        self.free.release()

    def send(self, item: Any) -> None:
        tag, data = encode(item)
        with self.writing(tag, len(data)) as view:
            view[:] = data

    def recv(self) -> Any:
        with self.reading() as (tag, view):
            return decode(tag, view)
