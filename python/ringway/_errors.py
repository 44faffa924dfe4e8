"""The exceptions that the standard library has no name for."""

from __future__ import annotations

import queue


class RingwayError(Exception):
    """The base of this package's own exceptions."""


class CorruptedError(RingwayError):
    """Something else than ringway wrote to the file, or cut it off."""


class MismatchError(RingwayError, ValueError):
    """The file is no queue, or not the one that was meant: of another kind, type, version or identity."""


class PickleRefused(RingwayError, ValueError):
    """A message is pickled, and this process does not unpickle what comes through this queue."""


if hasattr(queue, "ShutDown"):  # Python 3.13
    ShutDown = queue.ShutDown
else:

    class ShutDown(Exception):  # type: ignore[no-redef]  # noqa: N818
        """The queue was shut down, by any process (`queue.ShutDown` from Python 3.13 on)."""
