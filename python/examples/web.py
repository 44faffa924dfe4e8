"""An event loop that gives work to a process, and does other things meanwhile.

python web.py
"""

import asyncio

import ringway


def worker(asked, answered):
    for number in asked:  # until the queue is shut down
        answered.put((number, sum(range(number))))


async def serve(asked, answered):
    ticks = 0

    async def heartbeat():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    beating = asyncio.create_task(heartbeat())
    for number in range(100):
        await asked.aput(number * 1000)
    sums = dict([await answered.aget() for _ in range(100)])
    beating.cancel()
    assert sums == {number * 1000: sum(range(number * 1000)) for number in range(100)}
    print(f"100 sums, and {ticks} heartbeats meanwhile")


def main():
    mp = ringway.get_context("spawn")
    asked, answered = mp.Queue(), mp.Queue()
    process = mp.Process(target=worker, args=(asked, answered), daemon=True)
    process.start()
    asyncio.run(asyncio.wait_for(serve(asked, answered), 60))
    asked.shutdown()
    process.join(60)


if __name__ == "__main__":
    main()
