"""A pool of workers, one of which is killed while it works: nothing is lost, and no other process hangs.

python workers.py
"""

import os
import signal

import ringway


def worker(jobs, results):
    for frame in iter(lambda: jobs.recv(timeout=60), None):
        with frame:  # a kill in here gives the job to another worker
            number = frame.decode()
            if number == 5 and frame.redeliveries == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            results.put((number, number * number, frame.redeliveries))


def main():
    mp = ringway.get_context("spawn")
    jobs, results = mp.Queue(), mp.Queue()
    workers = [mp.Process(target=worker, args=(jobs, results), daemon=True) for _ in range(3)]
    for process in workers:
        process.start()
    for number in range(20):
        jobs.put(number)
    squares = {}
    while len(squares) < 20:
        number, square, redeliveries = results.get(timeout=60)
        squares[number] = square
        if redeliveries:
            print(f"job {number} came again after its worker was killed")
    assert squares == {number: number * number for number in range(20)}
    print("20 of 20 jobs are done")
    for process in workers:
        process.kill()


if __name__ == "__main__":
    main()
