"""Named queues that are not closed, in Python's development mode (`python -X dev`)."""

from __future__ import annotations

import warnings
from typing import Any


def warn_unclosed(queue: Any) -> None:
    """Warn of a named queue that goes without `close()`: it kept its part of a file that others share."""
    try:
        is_open = not queue.closed and queue.path is not None
    except RuntimeError:
        # It was never opened.
        return
    if is_open:
        warnings.warn(f"unclosed {queue!r}", ResourceWarning, source=queue, stacklevel=2)
