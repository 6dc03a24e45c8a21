"""Requests that nobody goes on with, and datagrams that are none, each from an address of its own in 127.0.0.0/8.

    python -m benchmarks.tftp.flood SERVER REQUESTS GARBAGE RATE

So many a second, the garbage evenly among the requests.  Answers are not read; that nobody is there must not be told to
the server by the kernel either, so the socket stays for ten minutes after "flooded" was written to standard output.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from ipaddress import IPv4Address

from benchmarks.tftp.load import PORT
from benchmarks.tftp.scenarios import BLKSIZE, MANY

FIRST = IPv4Address("127.100.0.0")
"""The first of the addresses."""

_IP_PKTINFO = 8
"""Of ``linux/in.h``: which address a datagram leaves from."""

_STAYS = 600.0
"""Seconds after which it ends by itself."""

_LONGEST = 600
"""Octets of garbage in a datagram, at the most."""


def request(number: int) -> bytes:
    """The RRQ of this number."""
    words = (f"many{number % MANY}", "octet", "blksize", str(BLKSIZE), "tsize", "0")
    return b"\0\1" + b"".join(word.encode() + b"\0" for word in words)


def datagrams(requests: int, garbage: int) -> list[bytes]:
    """All that is sent, in this order."""
    chance = random.Random(350)
    whole = requests + garbage
    return [
        chance.randbytes(chance.randrange(_LONGEST))
        if (number + 1) * garbage // whole > number * garbage // whole
        else request(number)
        for number in range(whole)
    ]


def source(number: int) -> bytes:
    """A ``struct in_pktinfo`` (ip(7)) that lets a datagram leave from the address of this number."""
    return struct.pack("=i4s4s", 0, (FIRST + number).packed, bytes(4))


def main(server: str, requests: int, garbage: int, rate: int) -> None:
    """Send them all, what is late at once, and stay until it is ended."""
    if not IPv4Address(server).is_loopback:
        raise ValueError(f"{server}: the flood is for this machine alone")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lan:
        lan.bind(("", 0))
        begun = time.monotonic()
        for number, octets in enumerate(datagrams(requests, garbage)):
            if (early := begun + number / rate - time.monotonic()) > 0:
                time.sleep(early)
            lan.sendmsg([octets], [(socket.IPPROTO_IP, _IP_PKTINFO, source(number))], 0, (server, PORT))
        print("flooded", flush=True)
        time.sleep(_STAYS)


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:]))
