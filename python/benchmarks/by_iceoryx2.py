"""iceoryx2's Python binding: a publisher and a subscriber, which polls."""

from __future__ import annotations

import ctypes
import time
import uuid
from typing import Any

import iceoryx2 as iox2
from by_hand import decode, encode

iox2.set_log_level(iox2.LogLevel.Error)


def name() -> str:
    return f"ringway-benchmark/{uuid.uuid4()}"


def _service(name: str) -> tuple[Any, Any]:
    node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
    builder = node.service_builder(iox2.ServiceName.new(name)).publish_subscribe(iox2.Slice[ctypes.c_uint8])
    return node, builder.enable_safe_overflow(False).subscriber_max_buffer_size(16).open_or_create()


def sender(name: str) -> Any:
    node, service = _service(name)
    publisher = service.publisher_builder().initial_max_slice_len((1 << 20) + 64).create()
    is_heard = False

    def send(item: Any) -> None:
        nonlocal is_heard
        while not is_heard:
            is_heard = service.dynamic_config.number_of_subscribers > 0
            time.sleep(0.001)
        tag, data = encode(item)
        sample = publisher.loan_slice_uninit(len(data) + 1)
        view = sample.payload().as_memory_view().cast("B")
        view[0] = tag
        view[1:] = data
        sample.assume_init().send()

    send.keep = node  # type: ignore[attr-defined]
    return send


def receiver(name: str) -> Any:
    node, service = _service(name)
    subscriber = service.subscriber_builder().create()

    def recv() -> Any:
        while (sample := subscriber.receive()) is None:
            time.sleep(0)
        view = sample.payload().as_memory_view().cast("B")
        item = decode(view[0], view[1:])
        sample.delete()
        return item

    recv.keep = node  # type: ignore[attr-defined]
    return recv
