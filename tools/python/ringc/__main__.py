"""The command line tool: `ringc`, or `python -m ringc`."""

from __future__ import annotations

import os
import signal
import sys

from ._library import library


def main() -> int:
    """Runs the tool with the arguments of this process; its exit code."""
    for each in (signal.SIGINT, signal.SIGPIPE):  # as a program in C has them, and not as Python changes them
        signal.signal(each, signal.SIG_DFL)
    return library().program([b"ringc", *(os.fsencode(each) for each in sys.argv[1:])])


if __name__ == "__main__":
    sys.exit(main())
