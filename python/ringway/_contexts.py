"""`multiprocessing` contexts whose queues are ringway's."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import BaseContext
from typing import Any

from ._queues import JoinableQueue, Queue
from ._simple import SimpleQueue


class _Queues:
    """What is put in the place of a context's own queues."""

    _ringway_base: BaseContext

    def Queue(self, maxsize: int = 0, **options: Any) -> Queue[Any]:  # noqa: N802
        return Queue(maxsize, ctx=self._ringway_base, **options)

    def JoinableQueue(self, maxsize: int = 0, **options: Any) -> JoinableQueue[Any]:  # noqa: N802
        return JoinableQueue(maxsize, ctx=self._ringway_base, **options)

    def SimpleQueue(self, **options: Any) -> Any:  # noqa: N802
        # Executors and pools reach for the pipe's ends in theirs, which ours do not have.
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.startswith(("concurrent.futures.", "multiprocessing.")):
            return self._ringway_base.SimpleQueue()
        return SimpleQueue(ctx=self._ringway_base, **options)

    def Pool(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        # A pool's own pipes are of no use to anybody else.
        return self._ringway_base.Pool(*arguments, **options)

    def get_context(self, method: str | None = None) -> Any:
        return self if method is None else get_context(method)


_classes: dict[type, Any] = {}


def _class(base: type) -> Any:
    if base not in _classes:
        _classes[base] = type(f"Ringway{base.__name__}", (_Queues, base), {})
    return _classes[base]


def get_context(method: str | None = None) -> Any:
    """`multiprocessing.get_context(method)`, with ringway's queues: the one line to change.

    >>> import ringway
    >>> mp = ringway.get_context("spawn")
    >>> q = mp.Queue()
    >>> type(q)
    <class 'ringway.Queue'>
    >>> q.close()
    """
    base: Any = multiprocessing.get_context(method)
    if hasattr(base, "_default_context"):
        base = base.get_context(base.get_start_method())
    made: Any = object.__new__(_class(type(base)))
    made.__dict__.update(base.__dict__)
    made._ringway_base = base
    return made
