"""numpy arrays and Arrow data."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import ringway
from ringway import _arrays

ARRAYS = [
    np.arange(10), np.zeros((3, 4), "f4", order="F"), np.zeros((0, 3)), np.array(3.5), np.arange(20)[::2],
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2), np.array([True, False]), np.array([1 + 2j]),
    np.array(["2020-01-01"], "M8[D]"), np.array([5], "m8[s]"), np.array([b"ab", b"c"]), np.array(["ab", "ü"]),
    np.zeros(2, [("a", "i4"), ("b", "f8", (2,))]), np.arange(4, dtype=">i4"), np.zeros(3, "V5"),
    np.random.default_rng(1).random((256, 256)),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_arrive_as_they_were(array: Any) -> None:
    with ringway.Queue() as q, ringway.Ring.memfd(ring_bytes=4 << 20) as ring:
        q.put(array)
        got = q.get(timeout=1)
        ring.send_array(array)
        with ring.recv() as frame:
            in_place = frame.array()
            for other in (got, in_place, frame.array(copy=True), frame.decode()):
                assert type(other) is np.ndarray and other.dtype == array.dtype and other.shape == array.shape
                assert (other == array).all() or array.dtype.kind == "V"
            if array.size:
                assert got.flags.writeable and not in_place.flags.writeable
                assert in_place.__array_interface__["data"][0] % min(64, max(1, array.dtype.alignment)) == 0
            del in_place, other


def test_arrays_in_other_objects_are_the_receivers_own() -> None:
    with ringway.Queue() as q:
        q.put({"frame": np.arange(10_000.0), "name": "x", "small": np.arange(3)})
        got = q.get(timeout=1)
        assert (got["frame"] == np.arange(10_000.0)).all() and got["frame"].flags.writeable
        got["frame"][0] = 7


def test_subclasses_and_objects_go_through_pickle() -> None:
    with ringway.Queue() as q:
        masked = np.ma.array([1, 2], mask=[0, 1])
        q.put(masked)
        got = q.get(timeout=1)
        assert type(got) is type(masked) and got.mask.tolist() == [False, True]
        q.put(np.array([{"a": 1}, None], object))
        assert q.get(timeout=1).tolist() == [{"a": 1}, None]
        with ringway.Ring.memfd() as ring, pytest.raises(ValueError, match="objects of Python"):
            ring.send_array(np.array([{}], object))


def test_any_bytes_as_an_array() -> None:
    with ringway.Ring.memfd() as ring:
        ring.send(np.arange(6, dtype="<u2").tobytes())
        frame = ring.recv()
        assert frame.array(dtype="<u2", shape=(2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
        with pytest.raises(ValueError, match="dtype"):
            frame.array()


def test_arrow() -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    with ringway.Ring.memfd() as ring, ringway.Queue() as q:
        ring.send_arrow(table)
        frame = ring.recv()
        got = frame.arrow()
        assert got.equals(table)
        with pytest.raises(BufferError):
            frame.release()
        assert frame.decode().equals(table)
        del got
        ring.send_arrow(table.to_batches()[0])
        assert ring.recv().arrow().num_rows == 3
        ring.send(b"abc")
        frame = ring.recv()
        assert pa.py_buffer(frame).to_pybytes() == b"abc"
        q.put(table)
        assert q.get(timeout=1).equals(table)


def test_a_frame_that_another_thread_releases_while_its_array_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = ringway.Ring.memfd()
    # A type of its own, whose description is read by code of Python.
    ring.send_array(np.zeros(4, dtype=[("released_meanwhile", "u1")]))
    frame = ring.recv()
    made, outcomes = _arrays.dtype_of, []

    def release() -> None:
        try:
            frame.release()
            outcomes.append("released")
        except BufferError:
            outcomes.append("refused")

    def dtype_of(description: bytes) -> Any:
        thread = threading.Thread(target=release)
        thread.start()
        thread.join(30)
        return made(description)

    monkeypatch.setattr(_arrays, "dtype_of", dtype_of)
    array = frame.array()
    assert outcomes == ["refused"] and array.shape == (4,)
