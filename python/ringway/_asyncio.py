"""Waiting in an event loop: for any loop with `add_reader` (asyncio's, uvloop)."""

from __future__ import annotations

import asyncio
import queue
import weakref
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: For each loop and descriptor, the tasks that wait.
_waiting: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, set[asyncio.Future[None]]]] = (
    weakref.WeakKeyDictionary()
)


async def until(fileno: Callable[[], int], attempt: Callable[[], T]) -> T:
    """Attempt until it finds something or has room, each time that the descriptor is readable."""
    while True:
        fd = fileno()
        try:
            return attempt()
        except (queue.Empty, queue.Full):
            pass
        await readable(fd)


async def readable(fd: int) -> None:
    """Wait until the descriptor is readable, or `wake` is called."""
    loop = asyncio.get_running_loop()
    of_loop = _waiting.setdefault(loop, {})
    futures = of_loop.get(fd)
    if futures is None:
        futures = of_loop[fd] = set()
        loop.add_reader(fd, _wake, loop, fd)
    future = loop.create_future()
    futures.add(future)
    try:
        await future
    finally:
        futures.discard(future)
        if not futures and of_loop.get(fd) is futures:
            _wake(loop, fd)


def _wake(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    # Those that find nothing wait again.
    futures = _waiting.get(loop, {}).pop(fd, set())
    loop.remove_reader(fd)
    for future in futures:
        if not future.done():
            future.set_result(None)


def wake(fd: int) -> None:
    """End all waits for a descriptor that is about to be closed."""
    for loop, of_loop in list(_waiting.items()):
        if fd in of_loop and not loop.is_closed():
            try:
                running = asyncio.get_running_loop()
            except RuntimeError:
                running = None
            if running is loop:
                _wake(loop, fd)
            else:
                loop.call_soon_threadsafe(_wake, loop, fd)
