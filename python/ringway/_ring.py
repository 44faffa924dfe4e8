"""Messages in place."""

from __future__ import annotations

import contextlib
import os
import queue
from pathlib import Path
from typing import Any

from . import _asyncio, _core
from ._handle import Handle
from ._passing import passed, reopened


class Ring(_core.RingBase, Handle[_core.Frame]):
    """A queue of bytes in a file, read and written in place; the same file as a Rust peer's.

    >>> ring = Ring.memfd()
    >>> ring.send(b"hello")
    >>> with ring.recv(timeout=1) as frame:
    ...     bytes(frame)
    b'hello'
    >>> ring.close()
    """

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, kind: str = "mpmc", **options: Any) -> Ring:
        """Create a queue. A path without a slash is a file in /dev/shm.

        `kind`: "mpmc" (many producers and consumers) or "spsc" (one of each). Options: `ring_bytes`,
        `max_messages`, `max_participants`, `max_redeliveries`, `sharing` ("user" or "group"),
        `huge_pages`, `prefault`.

        Raises `FileExistsError` if there is a file of that name.
        """
        return cls("create", Path(path), kind=kind, **options)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, allow_pickle: bool = False, sharing: str | None = None) -> Ring:
        """Open a queue of bytes of either kind, made by whichever program.

        Raises `FileNotFoundError` if there is none, and `MismatchError` if the file is another.
        """
        return cls("open", Path(path), allow_pickle=allow_pickle, sharing=sharing)

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], *, kind: str = "mpmc", **options: Any) -> Ring:
        """Open the queue, or create it if there is none; whichever process comes first creates it."""
        return cls("open_or_create", Path(path), kind=kind, **options)

    @classmethod
    def memfd(cls, *, kind: str = "mpmc", **options: Any) -> Ring:
        """Create a queue without a name. It ends with the last process that has it."""
        return cls("memfd", kind=kind, **options)

    def __reduce__(self) -> Any:
        return _restore, (type(self), passed(self), self._allow_pickle)

    @property
    def _path(self) -> Path | None:
        return self.path

    @property
    def _uuid(self) -> bytes:
        return bytes(self.uuid)

    def reserve_array(
        self, shape: int | tuple[int, ...], dtype: Any, block: bool = True, timeout: float | None = None
    ) -> _core.Reservation:
        """Reserve an array, to be written in place: `with ring.reserve_array((2, 3), "f4") as a`.

        The array may stay after the block, and is read-only then. Views of it (rows, slices) must be
        gone: otherwise `BufferError`, and nothing is sent. A memoryview of the array, or a view of
        another class, is not noticed: do not keep one.
        """
        import numpy as np

        extents = [shape] if isinstance(shape, int) else list(shape)
        return self._reserve_array(extents, np.dtype(dtype), block, timeout)

    def send_arrow(self, data: Any, block: bool = True, timeout: float | None = None) -> None:
        """Send a `pyarrow` record batch or table."""
        from . import _arrays

        stream = _arrays.arrow_stream(data)
        with self.reserve(_arrays.ARROW_AT + stream.size, block, timeout) as view:
            view[: _arrays.ARROW_AT] = bytes([_arrays.ARROW]).ljust(_arrays.ARROW_AT, b"\0")
            view[_arrays.ARROW_AT :] = memoryview(stream).cast("B")

    async def arecv(self) -> _core.Frame:
        """Like `recv`, in asyncio (MPMC only)."""
        return await _asyncio.until(self._readable_fileno, self._recv_or_settle)

    def _recv_or_settle(self) -> _core.Frame:
        with contextlib.suppress(queue.Empty):
            return self.recv(block=False)
        self._settle()
        # If there is nothing still, the descriptor is not readable from now on.
        try:
            return self.recv(block=False)
        except queue.Empty:
            self._settle()
            raise

    def _next(self) -> _core.Frame:
        return self.recv()

    async def _anext(self) -> _core.Frame:
        return await self.arecv()

    def __repr__(self) -> str:
        return f"<ringway.Ring {self.path or 'without a name'}, {self.kind}>"


def _restore(cls: type[Ring], where: Any, allow_pickle: bool) -> Ring:
    with reopened(where) as (how, path, uuid):
        return cls(how, path, uuid=uuid, allow_pickle=allow_pickle)
