"""The examples run; the one with a Rust program where `RINGWAY_EXAMPLES` says where those are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ringway

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["workers", "camera", "web"])
def test_examples(name: str) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / f"{name}.py")], capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_typed_messages_of_a_rust_program(tmp_path: Path) -> None:
    folder = os.environ.get("RINGWAY_EXAMPLES")
    if not folder:
        pytest.skip("`cargo xtask python` builds the Rust program, and says where it is")
    queue = tmp_path / "ticks"
    producer = subprocess.run(
        [f"{folder}/ticks_producer", str(queue), "1000"], capture_output=True, text=True, timeout=55
    )
    assert producer.returncode == 0, producer.stderr
    ring = ringway.Ring.open(queue)
    assert ring.schema and ring.schema.startswith("message Tick")
    ring.shutdown()
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "ticks.py"), str(queue)], capture_output=True, text=True, timeout=55
    )
    assert done.returncode == 0 and "symbol" in done.stdout, done.stderr
    with pytest.raises(TypeError, match="Tick"):
        ring.reserve(10)
