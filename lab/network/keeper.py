"""Waits for the lab's end and removes its network.

    python -m lab.network.keeper TOKEN

Standard input is a pipe that only the lab holds: it ends when the lab closes it and when the lab dies, in whatever way.
Signals that a terminal sends to everything that runs in it are not for the keeper.
"""

from __future__ import annotations

import signal
import sys

from lab.network.namespace import remove
from lab.process import LabError


def main() -> int:
    """Wait, remove, and say so by the exit status: 0 if nothing is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    token = sys.argv[1]
    while sys.stdin.buffer.read(4096):
        pass
    try:
        remove(token)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
