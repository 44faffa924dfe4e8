"""How a queue gets from one process to another: by its path, or by its descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import context, reduction
from pathlib import Path
from typing import Any


def passed(queue: Any) -> tuple[Any, ...]:
    """What the other process needs to open the same queue."""
    path = queue._path
    if path is not None:
        return "path", str(path), queue._uuid
    descriptor, uuid = queue.fileno(), queue._uuid
    if context.get_spawning_popen() is not None:
        # A child gets a descriptor of its own: it does not need this process any more.
        return "dup", reduction.DupFd(descriptor), uuid
    return "process", os.getpid(), descriptor, uuid


@contextmanager
def reopened(where: tuple[Any, ...]) -> Iterator[tuple[str, Path, bytes]]:
    """How to open what `passed` has described."""
    match where:
        case "path", path, uuid:
            yield "open", Path(path), uuid
        case "dup", dup, uuid:
            descriptor = dup.detach()
            try:
                yield "descriptor", Path(f"/proc/self/fd/{descriptor}"), uuid
            finally:
                os.close(descriptor)
        case "process", pid, descriptor, uuid:
            path = Path(f"/proc/{pid}/fd/{descriptor}")
            if not path.exists():
                raise FileNotFoundError(
                    f"the process {pid}, which passed this queue on, is gone or has closed it; a queue that outlives "
                    "the process that passes it on needs a name: Queue(path=...)"
                )
            yield "descriptor", path, uuid
