"""The `ringway` command, as the wheel installs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import ringway

COMMANDS = [[str(Path(sysconfig.get_path("scripts"), "ringway"))], [sys.executable, "-P", "-m", "ringway"]]


@pytest.fixture(params=COMMANDS, ids=["ringway", "python -m ringway"])
def command(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def run(command: list[str], *arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    words = [*command, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def test_it_works_on_the_queues_of_the_package(command: list[str], path: Path) -> None:
    with ringway.JoinableQueue(path=path) as q:
        q.put(b"by put")
        q.get()
        q.task_done()
        q.put(b"another")
        done = run(command, "stat", path, "--json")
        assert done.returncode == 0, done.stderr
        stat = json.loads(done.stdout)
        assert stat["backlog"]["messages"] == 1
        assert stat["backlog"]["unfinished"] == 1 and stat["counters"]["done"] == 1


def test_messages_go_through_it(command: list[str], path: Path) -> None:
    assert run(command, "create", path).returncode == 0
    assert run(command, "send", path, input=b"one\ntwo\n").returncode == 0
    with ringway.Ring.open(path) as ring:
        assert bytes(ring.recv(timeout=5)) == b"one"
    assert run(command, "recv", path).stdout == b"two\n"


def test_exit_codes(command: list[str], path: Path) -> None:
    missing = run(command, "stat", path)
    assert missing.returncode == 1 and str(path).encode() in missing.stderr
    assert run(command, "no-such-command").returncode == 2
    assert run(command, "--version").stdout.strip() == f"ringway {ringway.__version__}".encode()
    assert run(command, "create", path).returncode == 0
    assert run(command, "recv", path, "--timeout", "50ms").returncode == 4


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_never_becomes_the_queue(command: list[str], path: Path, closed: str) -> None:
    assert run(command, "create", path).returncode == 0
    assert run(command, "send", path, input=b"one\ntwo\n").returncode == 0
    header = path.read_bytes()[:64]
    # Its messages are longer than what they would overwrite.
    assert run(command, "send", path, input=b"x" * 1000 + b"\n").returncode == 0
    run(["sh", "-c", f'"$@" {closed}', "sh", *command], "recv", path)
    assert path.read_bytes()[:64] == header
    stat = run(command, "stat", path, "--json")
    assert stat.returncode == 0, stat.stderr
    assert json.loads(stat.stdout)["backlog"]["messages"] == 0


def test_ctrl_c_ends_it(command: list[str], path: Path) -> None:
    assert run(command, "create", path).returncode == 0
    process = subprocess.Popen([*command, "recv", "-f", str(path)], stdout=subprocess.PIPE)
    with ringway.Ring.open(path) as ring:
        ring.send(b"it runs")
    assert process.stdout is not None and process.stdout.readline() == b"it runs\n"
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
