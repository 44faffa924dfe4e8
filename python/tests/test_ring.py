"""Messages in place, and how long views of them live."""

from __future__ import annotations

import gc
import os
import pickle
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ringway


@pytest.fixture(params=["mpmc", "spsc"])
def ring(request: pytest.FixtureRequest, path: Path) -> ringway.Ring:
    return ringway.Ring.create(path, kind=request.param, ring_bytes=1 << 16)


def test_send_and_receive(ring: ringway.Ring) -> None:
    ring.send(b"bytes")
    ring.send(bytearray(b"bytearray"))
    ring.send(memoryview(b"xviewx")[1:-1])
    ring.send(b"")
    frames = ring.recv_many(10)
    assert [bytes(frame) for frame in frames] == [b"bytes", b"bytearray", b"view", b""]
    assert [frame.redeliveries for frame in frames] == [0] * 4
    positions = [frame.position for frame in frames]
    assert positions == sorted(set(positions))
    with pytest.raises(queue.Empty):
        ring.recv(timeout=0.01)


def test_frames_are_read_only_buffers(ring: ringway.Ring) -> None:
    ring.send(b"hello")
    frame = ring.recv()
    view = memoryview(frame)
    assert view.readonly and view == b"hello" and len(frame) == 5
    with pytest.raises(TypeError):
        view[0] = 1
    with pytest.raises(BufferError, match="views"):
        frame.release()
    view.release()
    frame.release()
    frame.release()
    assert frame.released
    with pytest.raises(BufferError):
        memoryview(frame)
    with pytest.raises(ValueError):
        frame.position  # noqa: B018


def test_reject_and_put_back(ring: ringway.Ring) -> None:
    ring.send(b"again")
    ring.recv().reject()
    frame = ring.recv()
    assert frame.redeliveries == 1
    frame.put_back()
    frame = ring.recv()
    assert bytes(frame) == b"again" and frame.redeliveries == 1


def test_an_exception_rejects(ring: ringway.Ring) -> None:
    ring.send(b"work")
    with pytest.raises(RuntimeError), ring.recv():
        raise RuntimeError
    with ring.recv() as frame:
        assert frame.redeliveries == 1
    with pytest.raises(queue.Empty):
        ring.recv(block=False)


def test_reserve(ring: ringway.Ring) -> None:
    with ring.reserve(10) as view:
        view[:] = b"0123456789"
    with ring.recv() as frame:
        assert bytes(frame) == b"0123456789"
    with pytest.raises(RuntimeError), ring.reserve(10) as view:
        raise RuntimeError
    with pytest.raises(queue.Empty):
        ring.recv(block=False)
    reservation = ring.reserve(10)
    with reservation as view:
        view[:3] = b"abc"
        reservation.truncate(3)
    with ring.recv() as frame:
        assert bytes(frame) == b"abc"


def test_a_view_that_outlives_the_reservation_is_refused(ring: ringway.Ring) -> None:
    with pytest.raises(BufferError, match="given up"), ring.reserve(16) as view:
        array = np.frombuffer(view, np.uint8)
    array[:] = 7
    with pytest.raises(queue.Empty):
        ring.recv(block=False)


def test_reserve_array_in_place(ring: ringway.Ring) -> None:
    with ring.reserve_array((3, 4), "f4") as array:
        array[:] = np.arange(12).reshape(3, 4)
        assert array.flags.writeable
    assert not array.flags.writeable, "the message was sent"
    with ring.recv() as frame:
        got = frame.array()
        assert (got == np.arange(12).reshape(3, 4)).all() and not got.flags.writeable and got.dtype == "f4"
        del got


def test_views_of_a_reserved_array_are_refused(ring: ringway.Ring) -> None:
    with pytest.raises(BufferError, match="rows, slices"), ring.reserve_array((3, 4), "f4") as array:
        array[:] = 1
        row = array[1]
    row[:] = 2  # the room of a reservation that was given up
    with pytest.raises(queue.Empty):
        ring.recv(block=False)
    with ring.reserve_array((3, 4), "f4") as array:
        for row in array:
            row[:] = 3
        del row
        array[1:].T[0] = 4
    ring.recv(block=False).release()
    kept: list[Any] = []
    with pytest.raises(KeyError), ring.reserve_array((3, 4), "f4") as array:
        kept.append(array[0])
        raise KeyError
    for shape in ((), (0,), (1,)):
        with ring.reserve_array(shape, "V3" if shape else "i8") as array:
            pass
        ring.recv(block=False).release()


def test_unclosed_named_queues_are_warned_of_in_development_mode(tmp_path: Path) -> None:
    program = f"""
import ringway
for make in (lambda p: ringway.Queue(path=p), lambda p: ringway.Ring.create(p)):
    one = make({str(tmp_path)!r} + "/q")
    one.unlink()
    del one
    with make({str(tmp_path)!r} + "/q") as one:
        one.unlink()
    del one
q, r = ringway.Queue(), ringway.Ring.memfd()
"""
    for flags, most in (["-X", "dev"], 2), ([], 0):
        done = subprocess.run(
            [sys.executable, *flags, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("ResourceWarning: unclosed <ringway.") == most, done.stderr


def test_a_full_ring(ring: ringway.Ring) -> None:
    with pytest.raises(queue.Full):
        while True:
            ring.send(b"x" * 1000, block=False)
    with pytest.raises(queue.Full):
        ring.send(b"x" * 1000, timeout=0.05)
    with pytest.raises(queue.Full):
        ring.reserve(1000, timeout=0.05)
    with pytest.raises(ValueError, match="at most"):
        ring.send(b"x" * 1_000_000)
    count = 0
    while True:
        try:
            ring.recv(block=False)
            count += 1
        except queue.Empty:
            break
    assert count > 10
    ring.send(b"room again", timeout=1)


def test_views_never_see_freed_memory(ring: ringway.Ring) -> None:
    ring.send(b"A" * 4096)
    frame = ring.recv()
    holds_export = np.frombuffer(frame, np.uint8)
    holds_reference = np.ndarray(4096, np.uint8, buffer=frame)
    ring.close()
    ring.unlink()
    del frame, ring
    gc.collect()
    assert (holds_export == 65).all() and (holds_reference == 65).all()


def test_released_frame_keeps_its_mapping(ring: ringway.Ring) -> None:
    ring.send(b"A" * 4096)
    frame = ring.recv()
    only_a_reference = np.ndarray(4096, np.uint8, buffer=frame)
    frame.release()
    ring.close()
    gc.collect()
    assert int(only_a_reference.sum()) >= 0  # other bytes perhaps, but no crash


def test_frames_in_other_threads(ring: ringway.Ring) -> None:
    for _ in range(200):
        ring.send(b"x" * 500)
        frames = [ring.recv()]
        thread = threading.Thread(target=frames.clear)
        thread.start()
        thread.join()
    ring.send(b"end")
    assert bytes(ring.recv(timeout=1)) == b"end"


def test_close_with_frames_held(ring: ringway.Ring) -> None:
    ring.send(b"held")
    frame = ring.recv()
    ring.close()
    assert ring.closed and bytes(frame) == b"held"
    frame.release()
    with pytest.raises(ValueError, match="closed"):
        ring.send(b"no")


def test_passing_on_and_opening(path: Path) -> None:
    ring = ringway.Ring.create(path, kind="spsc")
    with pytest.raises(FileExistsError):
        ringway.Ring.create(path)
    other = ringway.Ring.open(path)
    assert other.kind == "spsc" and other.uuid == ring.uuid and other.path == path
    third = pickle.loads(pickle.dumps(ring))
    assert third.uuid == ring.uuid
    memfd = ringway.Ring.memfd()
    again = pickle.loads(pickle.dumps(memfd))
    again.send(b"x")
    assert bytes(memfd.recv(timeout=1)) == b"x" and memfd.path is None and memfd.fileno() > 0
    with pytest.raises(FileNotFoundError):
        ringway.Ring.open(path.with_name("nothing"))
    junk = path.with_name("junk")
    junk.write_bytes(b"not a queue" * 1000)
    junk.chmod(0o600)
    with pytest.raises(ringway.MismatchError):
        ringway.Ring.open(junk)
    for bad in ({"kind": "bus"}, {"sharing": "all"}, {"ring_bytes": 3 << 60}):
        with pytest.raises((ValueError, OSError)):
            ringway.Ring.create(path.with_name("bad"), **bad)
    with pytest.raises(TypeError, match="no option"):
        ringway.Ring.create(path.with_name("bad"), no_such=1)


def test_shutdown_and_iteration(ring: ringway.Ring) -> None:
    ring.send_many([b"1", b"2"])
    ring.shutdown()
    assert ring.is_shutdown
    assert [bytes(frame) for frame in ring] == [b"1", b"2"]
    with pytest.raises(ringway.ShutDown):
        ring.send(b"3")


def test_forked_child_leaves_the_parents_frames_alone(ring: ringway.Ring) -> None:
    ring.send(b"parent's")
    frame = ring.recv()
    child = os.fork()
    if child == 0:
        try:
            assert bytes(frame) == b"parent's"
            del frame
            gc.collect()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(frame) == b"parent's"
    frame.reject()
    assert bytes(ring.recv(timeout=1)) == b"parent's"


def test_stats(ring: ringway.Ring) -> None:
    ring.send(b"x")
    frame = ring.recv()
    stats = ring.stats()
    assert stats.held_here == 1 and stats.ring_bytes == 1 << 16
    frame.release()
    assert ring.stats().held_here == 0
