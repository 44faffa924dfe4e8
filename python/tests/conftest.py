"""What the tests share. Each test is bounded: see pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue"
