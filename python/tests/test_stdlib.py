"""The standard library's own tests of queues, on every interpreter that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ringway

SUITE = Path(__file__).with_name("stdlib_suite.py")


def interpreters() -> list[str]:
    """One of each version from 3.11 on that has the package `test`."""
    found: dict[str, str] = {}
    versions = sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    named = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    for candidate in [sys.executable, *map(str, versions), *filter(None, named)]:
        program = "import sys, test._test_multiprocessing; print('%d.%d' % sys.version_info[:2])"
        asked = subprocess.run([candidate, "-c", program], capture_output=True, text=True, timeout=60)
        version = asked.stdout.strip()
        if asked.returncode == 0 and tuple(map(int, version.split("."))) >= (3, 11):
            found.setdefault(version, candidate)
    return list(found.values())


@pytest.mark.parametrize("interpreter", interpreters())
def test_the_standard_librarys_tests(interpreter: str, method: str, tmp_path: Path) -> None:
    # Only this package, not what else is installed for this interpreter.
    (tmp_path / "ringway").symlink_to(Path(ringway.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "RINGWAY_START_METHOD": method}
    log = tmp_path / "log"
    with log.open("w") as output:
        done = subprocess.run(
            [interpreter, str(SUITE), method], env=environment, stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, timeout=55,
        )  # fmt: skip
    assert done.returncode == 0, log.read_text()[-5000:]
