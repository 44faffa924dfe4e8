"""What users of `multiprocessing`, `shared_memory` and others report: each is a test."""

from __future__ import annotations

import os
import pickle
import queue
import resource
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest

import ringway


def run(program: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program of Python, which must end within `timeout` seconds."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(program)],
        timeout=timeout, capture_output=True, text=True, cwd=Path(__file__).parent, **options,
    )  # fmt: skip


def test_killed_in_a_large_put_and_get_still_works(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.Queue(ring_bytes=16 << 20)
    process = mp.Process(target=programs.put_then_kill_self, args=(q, 4 << 20))
    process.start()
    process.join(30)
    begin = time.monotonic()
    assert len(q.get(timeout=5)) == 4 << 20
    with pytest.raises(queue.Empty):
        q.get(timeout=1)
    assert time.monotonic() - begin < 4
    q.close()


def test_what_a_dead_process_held_comes_again(method: str) -> None:
    mp = ringway.get_context(method)
    q = mp.Queue()
    q.put("job")
    process = mp.Process(target=programs.hold_and_die, args=(q,))
    process.start()
    process.join(30)
    with q.recv(timeout=5) as frame:
        assert frame.decode() == "job" and frame.redeliveries == 1
    q.close()


def test_exit_does_not_hang_past_64_kib() -> None:
    done = run("""
        import ringway
        q = ringway.Queue()
        q.put(b"x" * 1_000_000)
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_exit_waits_for_the_list_unless_told_otherwise(path: Path) -> None:
    with ringway.Queue(path=path, ring_bytes=1 << 16) as q:
        program = f"""
            import ringway
            q = ringway.Queue(path={str(path)!r})
            for n in range(300):
                q.put(bytes([n % 256]) * 1000)
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=path.parent)
        assert [q.get(timeout=30)[0] for _ in range(300)] == [n % 256 for n in range(300)]
        assert process.wait(30) == 0
        done = run(textwrap.dedent(program) + "q.cancel_join_thread()\n")
        assert done.returncode == 0
        while not q.empty():
            q.get()


def test_daemon_threads_that_wait_at_exit() -> None:
    for wait in ("q.get", "q.recv", "ring.recv", "lambda: q.get(timeout=100)"):
        done = run(f"""
            import threading, programs, ringway
            q, ring = ringway.Queue(), ringway.Ring.memfd()
            for _ in range(4):
                threading.Thread(target={wait}, daemon=True).start()
            programs.until_asleep({"ring" if wait.startswith("ring") else "q"}, 4)
        """)
        assert (done.returncode, done.stderr) == (0, ""), wait


def test_daemon_threads_that_work_at_exit_never_crash() -> None:
    for _ in range(5):
        done = run("""
            import threading, ringway
            q = ringway.Queue()
            worked = threading.Semaphore(0)
            def work():
                while True:
                    q.put(b"x" * 100)
                    q.get()
                    worked.release()
            for _ in range(4):
                threading.Thread(target=work, daemon=True).start()
            for _ in range(2000):
                assert worked.acquire(timeout=30)
        """)
        assert done.returncode == 0, done.stderr


def test_frames_and_queues_that_are_left_at_exit() -> None:
    done = run("""
        import numpy as np, ringway
        ring = ringway.Ring.memfd()
        ring.send(b"x" * 1000)
        frame = ring.recv()
        array = np.frombuffer(frame, np.uint8)
        cycle = [ring, frame, array]
        cycle.append(cycle)
        q = ringway.Queue()
        q.put(1)
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_os_exit_and_exceptions_at_exit() -> None:
    assert run("import ringway, os; q = ringway.Queue(); q.put(1); os._exit(3)").returncode == 3
    assert run("import ringway; q = ringway.Queue(); q.put(1); raise SystemExit(4)").returncode == 4


def test_sizes_are_the_same_everywhere(path: Path) -> None:
    ring = ringway.Ring.create(path, ring_bytes=1 << 20)
    done = run(f"import ringway; print(ringway.Ring.open({str(path)!r}).max_message)")
    assert int(done.stdout) == ring.max_message


def test_no_resource_tracker_removes_what_others_use(path: Path) -> None:
    q: ringway.Queue[str] = ringway.Queue(path=path)
    done = run(f"import ringway; ringway.Queue(path={str(path)!r}).put('from a process that ends')")
    assert done.returncode == 0
    assert path.exists() and q.get(timeout=1) == "from a process that ends"
    q.close()


def test_nothing_is_left_of_nameless_queues() -> None:
    before = set(os.listdir("/dev/shm"))
    done = run("""
        import os, signal, ringway
        q = ringway.Queue()
        q.put(1)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert done.returncode == -9
    assert not {name for name in set(os.listdir("/dev/shm")) - before if str(done) in name}
    q: ringway.Queue[int] = ringway.Queue()
    q.put(1)
    assert q.path is None
    q.close()


def test_qsize_is_there() -> None:
    with ringway.Queue() as q:
        q.put(1)
        assert q.qsize() == 1


def test_without_dev_shm_and_when_it_is_full(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to mount another /dev/shm")
    program = textwrap.dedent("""
        import errno, ringway
        q = ringway.Queue()
        q.put(b"x" * 100_000)
        assert len(q.get()) == 100_000  # no need of /dev/shm
        try:
            ringway.Queue(path="/dev/shm/ringway-test-full", ring_bytes=8 << 20).put(b"x" * 4_000_000)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            print("ENOSPC")
        else:
            print("there was room")
    """)
    script = tmp_path / "program.py"
    script.write_text(program)
    mount = f"mount -t tmpfs -o size=1m none /dev/shm && exec {sys.executable} {script}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "ENOSPC"), done.stderr


def test_no_descriptors_left_is_an_oserror() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    try:
        with pytest.raises(OSError) as caught:
            queues = []
            while True:
                queues.append(ringway.Queue())
        assert caught.value.errno == 24
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with ringway.Queue() as q:
        q.put(1)
        assert q.get() == 1


def test_waiting_costs_no_processor() -> None:
    with ringway.Queue() as q:
        begin = time.process_time()
        with pytest.raises(queue.Empty):
            q.get(timeout=1)
        # Bounded loosely, for debug builds on busy machines; the benchmark prints the figure.
        assert time.process_time() - begin < 0.1


def test_other_threads_run_while_one_waits() -> None:
    done = run("""
        import threading, time, programs, ringway
        q, full = ringway.Queue(), ringway.Queue(overflow="block", ring_bytes=1 << 16)
        try:
            while True:
                full.put(b"x" * 10_000, block=False)
        except Exception:
            pass
        threads = [threading.Thread(target=q.get), threading.Thread(target=full.put, args=(b"x" * 10_000,))]
        for thread in threads:
            thread.start()
        programs.until_asleep(q)
        programs.until_asleep(full, at=programs.ROOM)
        begin = time.monotonic()
        for n in range(100_000):
            pass
        assert time.monotonic() - begin < 5
        q.put(1)
        full.get()
        for thread in threads:
            thread.join()
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_default_timeout() -> None:
    with ringway.Queue() as q, pytest.raises(queue.Empty):
        q.get(timeout=0.01)
    import inspect

    assert "timeout=None" in str(inspect.signature(ringway.Queue.get))


def test_leaks() -> None:
    """Of descriptors, of memory and of references, over many operations.

    The long form, of a million: `RINGWAY_OPERATIONS=1000000 pytest tests/test_complaints.py -k leaks`.
    """
    count = int(os.environ.get("RINGWAY_OPERATIONS", "40000"))
    picture = np.zeros((10, 10), np.float32)
    with ringway.JoinableQueue() as q, ringway.Ring.memfd() as ring:

        def work(operations: int) -> None:
            for n in range(operations // 20):
                for item in (n, "text" * 100, b"x" * 100, {"a": [n]}, picture):
                    q.put(item)
                    q.get()
                    q.task_done()
                q.put_many([n, "two"])
                assert len(q.get_many(2)) == 2
                q.task_done()
                q.task_done()
                q.join()
                ring.send_array(picture)
                with ring.recv() as frame:
                    assert frame.decode().shape == (10, 10)
                with pytest.raises(queue.Empty):
                    q.get(block=False)

        # As many as a lane has room for: after that each page of the files was used.
        work(40_000)
        descriptors, memory = len(os.listdir("/proc/self/fd")), _memory()
        references = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
        work(count)
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert _memory() - memory < 2 << 20
        if references:
            assert sys.gettotalrefcount() - references < 100


def _memory() -> int:
    pages = Path("/proc/self/statm").read_text().split()
    # What is resident without what is shared: the queues' files are that.
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def test_a_queue_can_be_named_and_pickled_anywhere(path: Path) -> None:
    with ringway.Queue(path=path) as q:
        again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(q))))
        again.put(1)
        assert q.get(timeout=1) == 1
        again.close()
