"""`multiprocessing`'s queues, in a file that every process maps."""

from __future__ import annotations

import os
import queue
from multiprocessing import util
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from . import _asyncio, _core
from ._handle import Handle
from ._passing import passed, reopened

T = TypeVar("T")

#: The bytes of each process's part of the file, and the objects that the file holds at most.
RING_BYTES = 4 << 20
MAX_MESSAGES = 1 << 14
MAX_PARTICIPANTS = 256


class Queue(_core.QueueBase, Handle[T], Generic[T]):
    """`multiprocessing.Queue` that no killed process can block or damage.

    `maxsize`: how many objects the queue takes; 0 means that `put` never waits. `path`: a name
    (a file in /dev/shm) or a path, by which any process can open the same queue with
    `Queue(path=...)`; without one the queue ends with the last process that has it. `overflow`: what
    an unbounded queue does when its file is full: "list" keeps what is put in a list of this process,
    as `multiprocessing.Queue` does with everything; "block" waits. `ring_bytes`: the room of each
    process that puts; an object takes at most half of it. `allow_pickle`: whether `get` unpickles.

    >>> q = Queue()
    >>> q.put({"job": 1})
    >>> q.get(timeout=1)
    {'job': 1}
    >>> q.close()
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        ctx: Any = None,
        path: str | os.PathLike[str] | None = None,
        overflow: str = "list",
        ring_bytes: int = RING_BYTES,
        max_participants: int = MAX_PARTICIPANTS,
        allow_pickle: bool = True,
        sharing: str | None = None,
    ) -> None:
        if overflow not in ("list", "block"):
            raise ValueError(f'`overflow` is "list" or "block", not {overflow!r}')
        maxsize = max(0, maxsize)
        self._maxsize = maxsize
        self._overflow = overflow
        self._start(
            "memfd" if path is None else "open_or_create",
            None if path is None else Path(path),
            None,
            allow_pickle,
            ring_bytes=ring_bytes,
            max_messages=maxsize or MAX_MESSAGES,
            max_participants=max_participants,
            sharing=sharing,
        )

    def _start(self, how: str, path: Path | None, uuid: bytes | None, allow_pickle: bool, **options: Any) -> None:
        hooked = type(self)._on_queue_feeder_error is not Queue._on_queue_feeder_error
        overflows = self._maxsize == 0 and self._overflow == "list"
        self._allow_pickle = allow_pickle
        self._join_cancelled = False
        self._joined_at_exit = 0
        self._open(how, path, self._maxsize, overflows, allow_pickle, hooked, uuid, **options)

    # Passing on: as arguments of processes, pools and executors, inside other objects.

    def __reduce__(self) -> Any:
        state = {name: value for name, value in self.__dict__.items() if name not in _OWN}
        return _restore, (type(self), passed(self), self._maxsize, self._overflow, self._allow_pickle, state)

    # In an event loop.

    async def aget(self) -> T:
        """Like `get`, in asyncio.

        >>> import asyncio
        >>> async def main():
        ...     with Queue() as q:
        ...         await q.aput("hello")
        ...         return await q.aget()
        >>> asyncio.run(main())
        'hello'
        """
        return cast("T", await _asyncio.until(self._messages_fd, self._get_polled))

    async def aput(self, obj: T) -> None:
        """Like `put`, in asyncio. Only a bounded queue, or one with `overflow="block"`, ever waits."""
        if self._maxsize == 0 and self._overflow == "list":
            self.put(obj)
            return

        def attempt() -> None:
            if not self._put_polled(obj):
                raise queue.Full

        await _asyncio.until(self._room_fd, attempt)

    def _next(self) -> T:
        return cast("T", self.get())

    async def _anext(self) -> T:
        return await self.aget()

    def _messages_fd(self) -> int:
        fd = self._readable_fileno()
        self._polled = (*getattr(self, "_polled", ())[-1:], fd)
        return fd

    def _room_fd(self) -> int:
        fd = self._writable_fileno()
        self._polled = (*getattr(self, "_polled", ())[-1:], fd)
        return fd

    # The end.

    def close(self) -> None:
        """Give up this process's handles: it puts and gets no more. Again: does nothing."""
        for fd in getattr(self, "_polled", ()):
            _asyncio.wake(fd)
        super().close()

    def join_thread(self) -> None:
        """Wait until everything that this process has put is in the file. Call `close()` first."""
        if not self._join_cancelled:
            self._flush()

    def cancel_join_thread(self) -> None:
        """Let this process end although it could not put everything into the file: that is lost then."""
        self._join_cancelled = True

    def _join_at_exit(self) -> None:
        """Called when something could not be put into the file at once."""
        if self._joined_at_exit != os.getpid():
            self._joined_at_exit = os.getpid()
            util.Finalize(None, self._leave, exitpriority=-5)

    def _leave(self) -> None:
        try:
            self.join_thread()
        finally:
            self._end_shutdown()

    @staticmethod
    def _on_queue_feeder_error(e: BaseException, obj: Any) -> None:
        """A subclass may override this to handle what cannot be pickled; by default `put` raises it."""
        raise e

    # More than multiprocessing's.

    @property
    def path(self) -> Path | None:
        """The file's path; None for a queue without a name."""
        return self._path

    @property
    def maxsize(self) -> int:
        """How many objects the queue takes; 0: as many as there is memory for."""
        return self._maxsize

    def __repr__(self) -> str:
        name = self.path or "without a name"
        return f"<ringway.{type(self).__name__} {name}>"


#: What is of this process only.
_OWN = ("_maxsize", "_overflow", "_allow_pickle", "_join_cancelled", "_joined_at_exit", "_polled")


def _restore(
    cls: type[Queue[Any]], where: Any, maxsize: int, overflow: str, allow_pickle: bool, state: dict[str, Any]
) -> Queue[Any]:
    with reopened(where) as (how, path, uuid):
        made = cls.__new__(cls)
        made.__dict__.update(state)
        made._maxsize = maxsize
        made._overflow = overflow
        made._start(how, path, uuid, allow_pickle)
    return made


class JoinableQueue(Queue[T], Generic[T]):
    """`multiprocessing.JoinableQueue`: a queue that counts what is done, without a lock that a killed
    process could keep. The count is in the file: with a `path`, any process can `join` it.

    >>> q = JoinableQueue()
    >>> q.put("work")
    >>> q.get()
    'work'
    >>> q.task_done()
    >>> q.join()
    >>> q.close()
    """

    def task_done(self) -> None:
        """Count one object as done. `ValueError`: as many are done as were put.

        With `recv`, call it before the frame is released: what a process that is killed before that has
        received comes again, and still counts.
        """
        self._task_done()

    def join(self) -> None:
        """Wait until everything that was put is done."""
        self._join()

    @property
    def unfinished(self) -> int:
        """How many objects in the file are not done, at this moment."""
        return self._unfinished()
