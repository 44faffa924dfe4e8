"""Counters."""

from __future__ import annotations

from typing import Any


class Stats:
    """What has happened in a queue since it was created; the counters are read while others work."""

    #: Messages that wait (SPSC: their bytes).
    backlog: int
    #: Room that is left, in messages (SPSC: in bytes).
    room: int
    #: The bytes of the ring (MPMC: of each producer's lane).
    ring_bytes: int
    #: Frames that this process holds, of any queue.
    held_here: int
    #: What could not be done as asked, in words.
    warnings: list[str]
    # MPMC only:
    #: Messages that consumers hold, or that are to come again.
    held: int
    sent: int
    received: int
    redelivered: int
    rejected: int
    #: Participants that died without detaching.
    deaths: int
    requeued: int
    #: Messages that were declared done.
    done: int
    dead_letters: int
    participants: int

    def __init__(self, counters: dict[str, Any]) -> None:
        self.__dict__.update(counters)

    def __repr__(self) -> str:
        return "Stats(" + ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items()) + ")"
