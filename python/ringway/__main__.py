"""The `ringway` command: `python -m ringway`, or `ringway` on the path."""

from __future__ import annotations

import signal
import sys

from . import _core


def main() -> int:
    """Run the command with this process's arguments, and return its exit code."""
    # As for any other program: the command handles it where it has something to finish.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # `-P`: not what is called so in the working directory.
    return _core._command(["ringway", *sys.argv[1:]], [sys.executable, "-P", "-m", "ringway"])


if __name__ == "__main__":
    sys.exit(main())
