"""Types, stubs, style, and the examples of the documentation."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ringway

PYTHON = Path(__file__).parent.parent
MODULES = [
    "_asyncio",
    "_arrays",
    "_contexts",
    "_errors",
    "_handle",
    "_passing",
    "_pickling",
    "_queues",
    "_ring",
    "_simple",
    "_stats",
]


def run(*command: str, cwd: Path = PYTHON) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_of_the_package() -> None:
    run("mypy", "--strict", "ringway")


def test_types_of_a_users_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import ringway

        q: ringway.Queue[int] = ringway.Queue(maxsize=10)
        q.put(1)
        number: int = q.get()
        with ringway.Ring.memfd() as ring, ring.reserve(10) as view:
            view[:] = b"0123456789"
        frame: ringway.Frame = ring.recv(timeout=1.0)
        text: bytes = bytes(frame)

        async def main() -> int:
            return await q.aget()
    """)
    )
    run("mypy", "--strict", str(program))


def test_stubs_say_what_is_there(tmp_path: Path) -> None:
    # In a folder without the sources, which have no native part: the installed package is meant.
    allowed, settings = PYTHON / "tests/stubtest_allowlist.txt", PYTHON / "pyproject.toml"
    command = ["ringway._core", "--allowlist", str(allowed), "--mypy-config-file", str(settings)]
    run("mypy.stubtest", *command, "--ignore-unused-allowlist", cwd=tmp_path)


def test_style() -> None:
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_the_docstrings(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"ringway.{module}")).failed == 0


def test_what_is_public_is_documented() -> None:
    for name in ringway.__all__:
        thing = getattr(ringway, name)
        assert name == "__version__" or thing.__doc__, name
        for attribute, member in vars(thing).items() if isinstance(thing, type) else ():
            if not attribute.startswith("_") and callable(member):
                assert member.__doc__, f"{name}.{attribute}"


@pytest.mark.parametrize("document", ["README.md", "../docs/guide/python.md"])
def test_examples_of_the_documents(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ```python block runs, in an own directory, with the blocks before it."""
    monkeypatch.chdir(tmp_path)
    text = (PYTHON / document).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    program = tmp_path / "document.py"
    body = textwrap.indent("\n".join(blocks), "    ")
    program.write_text(f"def main():\n{body}\n\nif __name__ == '__main__':\n    main()\n")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
