"""What the native code needs of numpy and pyarrow, which are imported only when they are used."""

from __future__ import annotations

import ast
from typing import Any


def describe(dtype: Any) -> bytes | None:
    """The form of a type in a message; None if other processes cannot have it."""
    if dtype.hasobject or dtype.metadata:
        return None
    if dtype.fields is None and dtype.subdtype is None:
        if dtype.kind not in "biufcSUMmV?":
            return None
        text = dtype.str
    else:
        from numpy.lib import format as npy

        form = npy.dtype_to_descr(dtype)
        if npy.descr_to_dtype(form) != dtype:
            return None
        text = repr(form)
    return text.encode() if len(text) < 65536 else None


def dtype_of(description: bytes) -> Any:
    """The type of which `description` is the form. Runs no code of the sender."""
    import numpy as np

    text = description.decode()
    if text.startswith("["):
        from numpy.lib import format as npy

        dtype = npy.descr_to_dtype(ast.literal_eval(text))
    else:
        dtype = np.dtype(text)
    if dtype.hasobject:
        raise ValueError(f"the message says that it holds objects of Python, by address: {text!r}")
    return dtype


def plain(array: Any) -> Any:
    """A contiguous array of bytes with the array's contents, in the order C."""
    import numpy as np

    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def shaped(buffer: Any, at: int, dtype: Any, shape: tuple[int, ...], is_fortran: bool) -> Any:
    """A view of `buffer` from byte `at` on, which keeps it."""
    import numpy as np

    count = 1
    for extent in shape:
        count *= extent
    if count == 0 or dtype.itemsize == 0:
        return np.empty(shape, dtype)
    flat = np.frombuffer(buffer, np.uint8, count * dtype.itemsize, at).view(dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C")


def of_bytes(frame: Any, dtype: Any, shape: Any) -> Any:
    """All bytes of a frame as an array."""
    import numpy as np

    array = np.frombuffer(frame, dtype)
    return array if shape is None else array.reshape(shape)


#: The codec byte of an Arrow stream, and where the stream begins.
ARROW = 0x21
ARROW_AT = 64


def arrow_stream(data: Any) -> Any:
    """A record batch or table as an IPC stream: a buffer."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        if isinstance(data, pa.RecordBatch):
            writer.write_batch(data)
        else:
            writer.write_table(data)
    return sink.getvalue()


def arrow_copy(rest: bytes) -> Any:
    """The table in a message, without its codec byte."""
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(rest)[ARROW_AT - 1 :]) as reader:
        return reader.read_all()


def arrow_in_place(frame: Any) -> Any:
    """The table in a frame, in place: it keeps the frame."""
    import pyarrow as pa

    buffer = pa.py_buffer(frame)
    if len(frame) < ARROW_AT or memoryview(frame)[0] != ARROW:
        raise ValueError("the message holds no Arrow data that ringway wrote")
    with pa.ipc.open_stream(buffer[ARROW_AT:]) as reader:
        return reader.read_all()
