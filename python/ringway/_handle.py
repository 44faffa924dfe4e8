"""What `Queue` and `Ring` have in common."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._errors import ShutDown
from ._stats import Stats

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")


class Handle(Generic[T]):
    """A handle of a queue's file, of which the class beside it has the native part."""

    if TYPE_CHECKING:

        @property
        def path(self) -> Path | None: ...
        def close(self) -> None: ...
        def _stats(self) -> dict[str, Any]: ...

    def _next(self) -> T:
        raise NotImplementedError

    async def _anext(self) -> T:
        raise NotImplementedError

    def __iter__(self) -> Iterator[T]:
        """What comes, until the queue is shut down and empty."""
        while True:
            try:
                yield self._next()
            except ShutDown:
                return

    async def __aiter__(self) -> AsyncIterator[T]:
        """What comes, until the queue is shut down and empty."""
        while True:
            try:
                yield await self._anext()
            except ShutDown:
                return

    def stats(self) -> Stats:
        """The counters of the queue."""
        return Stats(self._stats())

    def unlink(self) -> None:
        """Remove the name. Processes that have the queue open keep it."""
        if self.path is not None:
            os.unlink(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    if sys.flags.dev_mode:

        def __del__(self) -> None:
            _warn_unclosed(self)


def _warn_unclosed(queue: Any) -> None:
    """Warn of a named queue that goes without `close()`: it kept its part of a file that others share."""
    try:
        is_open = not queue.closed and queue.path is not None
    except RuntimeError:
        # It was never opened.
        return
    if is_open:
        warnings.warn(f"unclosed {queue!r}", ResourceWarning, source=queue, stacklevel=2)
