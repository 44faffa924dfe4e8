"""`multiprocessing.SimpleQueue`, with the two ends that some programs reach for."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import Any, Generic, TypeVar

from ._queues import Queue

T = TypeVar("T")


class _NoLock(contextlib.nullcontext[None]):
    """The lock of an end, which needs none."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return True

    def release(self) -> None:
        pass


class SimpleQueue(Queue[T], Generic[T]):
    """`multiprocessing.SimpleQueue` that no killed process can block or damage.

    >>> q = SimpleQueue()
    >>> q.put(b"hello")
    >>> q.get()
    b'hello'
    >>> q.close()
    """

    def __init__(self, *, ctx: Any = None, path: str | os.PathLike[str] | None = None, **options: Any) -> None:
        super().__init__(0, ctx=ctx, path=path, **options)

    def empty(self) -> bool:
        """Whether the queue is empty, at this moment."""
        if self.closed:
            raise OSError("the queue is closed")
        return super().empty()

    #: What `multiprocessing.pool` locks.
    _rlock = _wlock = _NoLock()

    @property
    def _reader(self) -> _End:
        return _End(self)

    @property
    def _writer(self) -> _End:
        return _End(self)


class _End:
    """An end of a `SimpleQueue` as a connection."""

    def __init__(self, queue: SimpleQueue[Any]) -> None:
        self._queue = queue

    @property
    def closed(self) -> bool:
        return self._queue.closed

    def close(self) -> None:
        """Nothing: the two ends of a queue are one."""

    def send(self, obj: Any) -> None:
        self._queue.put(obj)

    def recv(self) -> Any:
        return self._queue.get()

    def poll(self, timeout: float | None = 0.0) -> bool:
        if not self._queue.empty():
            return True
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            ready = select.poll()
            ready.register(self.fileno(), select.POLLIN)
            ready.poll(None if left is None else left * 1000)
            if not self._queue.empty():
                return True
            if left == 0.0:
                return False

    def fileno(self) -> int:
        return self._queue._readable_fileno()
