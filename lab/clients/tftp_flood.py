"""Somebody who begins downloads by addresses that are not his, never goes on with one, and sends garbage in between.

    python -m lab.clients.tftp_flood SERVER NAME REQUESTS GARBAGE PID

What comes back goes to addresses of 10.128.0.0/9, nowhere: whoever runs this is their router, and drops it.  PID is the
server's process: no more is sent than it has room for in its sockets, so that all of it arrives, as fast as the server
takes it.  Standard output says "flooded" at the end.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lab.network.namespace import NEIGHBOUR_ADDRESS, Namespace
from lab.process import Process

_PORT = 69
_BATCH = 32
"""Datagrams between two looks at what the server has not taken yet."""

_WAITING = 48 << 10
"""Octets that may wait in one of its sockets, as the kernel counts them: some 60 datagrams, far fewer than fit."""

_PATIENCE = 60.0
"""Seconds that the server may take for a batch."""

_OPTIONS = (
    b"",
    b"blksize\x001468\0windowsize\x0064\0tsize\x000\0",
    b"blksize\x0065464\0windowsize\x0065535\0timeout\x00255\0",
)
"""What is asked for in turn: nothing; what is usual; all that a server could be made to keep, and for long."""

_OPCODES = 7
"""0 to 6 stand at the beginning of half of the garbage."""


def start(namespace: Namespace, server: str, name: str, requests: int, garbage: int, pid: int) -> Process:
    """Start a flood from a namespace that is the network's router (`NEIGHBOUR_ADDRESS`)."""
    words = (server, name, str(requests), str(garbage), str(pid))
    return namespace.start("flood", sys.executable, "-m", "lab.clients.tftp_flood", *words)


def become_router(namespace: Namespace) -> None:
    """Give a client's namespace the address of the network's router; it forwards nothing."""
    namespace.ip("address", "add", f"{NEIGHBOUR_ADDRESS}/24", "dev", "eth0")
    namespace.write_setting("net/ipv4/ip_forward", "0")


def flood(server: str, name: str, requests: int, garbage: int, pid: int) -> None:
    """Send so many requests and so much garbage, in an order that is the same every time.

    :raises TimeoutError: if the server takes no more.
    """
    ports = (_PORT, _data_port(server, name))
    chance = random.Random(1350)
    kinds = [True] * requests + [False] * garbage
    chance.shuffle(kinds)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as lan:
        for number, is_request in enumerate(kinds):
            if number % _BATCH == 0:
                _wait(pid, ports)
            if is_request:
                octets = b"\0\1" + name.encode() + b"\0octet\0" + _OPTIONS[number % len(_OPTIONS)]
                to_port = _PORT
            else:
                head = struct.pack("!H", chance.randrange(_OPCODES)) if chance.random() < 0.5 else b""
                octets = head + chance.randbytes(chance.randrange(64))
                to_port = chance.choice(ports)
            # From 10.128.0.0/9, and no two of a flood's datagrams from one address and port.
            source = bytes([10, 128 + (number >> 16 & 127), number >> 8 & 255, number & 255])
            lan.sendto(_packet(source, server, chance.randrange(1024, 65536), to_port, octets), (server, 0))
    _wait(pid, ports, waiting=0)


def _data_port(server: str, name: str) -> int:
    """Where the server's answers come from: found out by a download that is broken off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(_PATIENCE)
        asker.sendto(b"\0\1" + name.encode() + b"\0octet\0", (server, _PORT))
        _, (_, port) = asker.recvfrom(2048)
        asker.sendto(b"\0\5\0\0no more\0", (server, port))
    return int(port)


def _packet(source: bytes, server: str, from_port: int, to_port: int, octets: bytes) -> bytes:
    """An IPv4 packet without checksums: the kernel makes that of the header, and UDP can do without (RFC 768)."""
    udp = struct.pack("!HHHH", from_port, to_port, 8 + len(octets), 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, source, socket.inet_aton(server))
    return ip + udp + octets


def _wait(pid: int, ports: tuple[int, ...], waiting: int = _WAITING) -> None:
    """Wait until no more than `waiting` octets are in any of the server's sockets at these ports."""
    deadline = time.monotonic() + _PATIENCE
    while max(_queues(pid, ports), default=0) > waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server has taken nothing for {_PATIENCE:g} s")
        time.sleep(0.0005)


def _queues(pid: int, ports: tuple[int, ...]) -> Iterator[int]:
    """Octets that wait in each of the sockets at these ports (proc(5): columns local_address and rx_queue)."""
    for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].partition(":")[2], 16) in ports:
            yield int(words[4].partition(":")[2], 16)


def main() -> None:
    """Flood; see the module."""
    server, name, *numbers = sys.argv[1:]
    requests, garbage, pid = map(int, numbers)
    flood(server, name, requests, garbage, pid)
    print("flooded", flush=True)


if __name__ == "__main__":
    main()
