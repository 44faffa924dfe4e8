"""In an event loop."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

import ringway

#: What makes an event loop: asyncio's own, and uvloop's where it is installed (`cargo xtask python` does).
FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if importlib.util.find_spec("uvloop"):
    import uvloop

    FACTORIES["uvloop"] = uvloop.new_event_loop
_factory = asyncio.new_event_loop


@pytest.fixture(autouse=True, params=FACTORIES)
def _loop(request: pytest.FixtureRequest) -> None:
    global _factory
    _factory = FACTORIES[request.param]


def run(main: Any) -> Any:
    with asyncio.Runner(loop_factory=_factory) as runner:
        # A deadline from within: `wait_for` needs a running loop.
        return runner.run(asyncio.wait_for(main, 30))


def test_get_and_put() -> None:
    async def main() -> None:
        with ringway.Queue() as q:

            async def take(count: int) -> list[int]:
                return [await q.aget() for _ in range(count)]

            tasks = [asyncio.create_task(take(5)) for _ in range(2)]
            await asyncio.sleep(0.02)
            for n in range(10):
                await q.aput(n)
                await asyncio.sleep(0.001)
            assert sorted(sum(await asyncio.gather(*tasks), [])) == list(range(10))

    run(main())


def test_backpressure_iteration_and_shutdown() -> None:
    async def main() -> None:
        with ringway.Queue(overflow="block", ring_bytes=1 << 16) as q:

            async def produce() -> None:
                for n in range(50):
                    await q.aput(bytes([n]) * 10_000)
                q.shutdown()

            task = asyncio.create_task(produce())
            assert [item[0] async for item in q] == list(range(50))
            await task

    run(main())


def test_cancelled_and_closed_waits_end() -> None:
    async def main() -> None:
        q: ringway.Queue[int] = ringway.Queue()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(q.aget(), 0.05)
        task = asyncio.create_task(q.aget())
        await asyncio.sleep(0.02)
        q.close()
        with pytest.raises(ValueError, match="closed"):
            await task

    run(main())


def test_frames() -> None:
    async def main() -> None:
        with ringway.Ring.memfd() as ring:
            task = asyncio.create_task(ring.arecv())
            await asyncio.sleep(0.02)
            ring.send(b"hello")
            assert bytes(await task) == b"hello"
            ring.send_many([b"1", b"2"])
            ring.shutdown()
            assert [bytes(frame) async for frame in ring] == [b"1", b"2"]

    run(main())


def test_an_idle_wait_costs_no_processor() -> None:
    import time

    async def main() -> None:
        with ringway.Queue() as q:
            begin = time.process_time()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(q.aget(), 0.5)
            assert time.process_time() - begin < 0.1

    run(main())
