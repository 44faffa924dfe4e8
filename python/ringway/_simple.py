"""`multiprocessing.SimpleQueue`, with the two ends that some programs reach for."""

from __future__ import annotations

import os
from typing import Any, Generic, TypeVar

from ._queues import Queue

T = TypeVar("T")


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
