"""Queues in shared memory that survive `kill -9`: `multiprocessing`'s, and messages in place.

- `Queue`, `SimpleQueue`, `JoinableQueue`, `get_context`: in the place of `multiprocessing`'s.
- `Ring`: bytes, numpy arrays and Arrow data in place, and the same file as a Rust program's.
"""

from __future__ import annotations

import os as _os
from multiprocessing import util as _util

from . import _core
from ._contexts import get_context
from ._core import Frame, Reservation, __version__
from ._errors import CorruptedError, MismatchError, PickleRefused, RingwayError, ShutDown
from ._queues import JoinableQueue, Queue
from ._ring import Ring
from ._simple import SimpleQueue
from ._stats import Stats

__all__ = [
    "CorruptedError",
    "Frame",
    "JoinableQueue",
    "MismatchError",
    "PickleRefused",
    "Queue",
    "Reservation",
    "Ring",
    "RingwayError",
    "ShutDown",
    "SimpleQueue",
    "Stats",
    "__version__",
    "get_context",
]

for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = "ringway"
del _name


def _watch_exit() -> None:
    # The last of `multiprocessing`'s finalizers: those before it may still wait for threads that use
    # queues. Afterwards no thread returns from a wait into an interpreter that ends.
    _util.Finalize(None, _core._interpreter_exits, exitpriority=-1_000_000)


_watch_exit()
# A finalizer runs in the process that registered it only.
_os.register_at_fork(after_in_child=_watch_exit)
