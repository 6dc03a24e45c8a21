"""Somebody who asks for addresses, again and again, each time as a machine that nobody has ever seen.

    python -m lab.clients.flood INTERFACE RATE SECONDS

So many DISCOVERs a second leave by the interface; standard output says at the end how many there were.
"""

from __future__ import annotations

import os
import sys
import time

from lab.clients import message
from lab.clients.load import EVERYBODY, opened
from lab.clients.message import DISCOVER
from lab.network.namespace import Namespace
from lab.process import Process


def start(namespace: Namespace, rate: float, seconds: float) -> Process:
    """Start a flood from ``eth0`` of a namespace."""
    return namespace.start("flood", sys.executable, "-m", "lab.clients.flood", "eth0", str(rate), str(seconds))


def generate(interface: str, rate: float, seconds: float) -> int:
    """Flood, and return how many DISCOVERs were sent."""
    sent = 0
    with opened(interface) as lan:
        started_at = time.monotonic()
        while (now := time.monotonic()) < started_at + seconds:
            while sent < (now - started_at) * rate:
                hwaddr = b"\x02" + os.urandom(5)
                lan.sendto(message.request(DISCOVER, int.from_bytes(os.urandom(4)), hwaddr), EVERYBODY)
                sent += 1
            time.sleep(0.002)
    return sent


if __name__ == "__main__":
    print(generate(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])), flush=True)
