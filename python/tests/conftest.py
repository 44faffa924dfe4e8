"""Bounds for everything that waits."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Seconds after which a test that hangs ends the run, with the stacks of all threads.
BOUND = float(os.environ.get("RINGWAY_TEST_BOUND", "90"))

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    faulthandler.dump_traceback_later(BOUND, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue"
