"""Many TFTP clients in one process that keep to the letter: each downloads one file, and compares every octet.

    python -m lab.network.tftp_client ADDRESS NAME CONTENT [--clients COUNT] [--blksize OCTETS] [--windowsize BLOCKS]
                                      [--mode MODE] [--from ADDRESS]... [--limit SECONDS]

All ask at the same moment, each from a port of its own, by the `--from` addresses in turn.  They acknowledge as
RFC 1350 and RFC 7440 say: the last block of a window, and at a gap what came before it, once.  When nothing comes for
a second they repeat the request, or acknowledge what they have, from the same port.  Whoever is done goes on to
acknowledge the last block when it comes again (RFC 1350 §6, "dallying").  CONTENT is the file that the server must
send, in octets as they go over the network.

Standard output has one JSON object a client, a `Download`, when the last is over or the limit is reached.
"""

from __future__ import annotations

import argparse
import json
import resource
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.network.namespace import Namespace

PORT = 69
"""Where TFTP servers listen."""

_REPEAT = 1.0
"""Seconds after which a client repeats what was not answered."""

_TICK = 0.05
"""Seconds between two looks at the clock, at most."""

_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6


@dataclass(slots=True)
class Download:
    """What became of one client's download."""

    error: str = "unfinished"
    """Why it failed, empty if every octet arrived; a download that is not over when the limit is reached says so."""

    octets: int = 0
    """How many arrived, all as they should be."""

    seconds: float = 0.0
    """From the request to the last octet."""

    blksize: int = 512
    """As it was agreed, in octets."""

    windowsize: int = 1
    """As it was agreed, in blocks."""

    port: int = 0
    """Which the answers came from."""

    data: int = 0
    """DATA datagrams that came."""

    duplicates: int = 0
    """DATA datagrams that brought nothing new."""

    gaps: int = 0
    """DATA datagrams before which one was missing."""

    repeats: int = 0
    """Datagrams it sent again because nothing came."""

    strangers: int = 0
    """Datagrams from an address or a port that is not its server's."""


def download(
    namespace: Namespace,
    server: str,
    name: str,
    content: Path,
    *,
    clients: int = 1,
    blksize: int = 512,
    windowsize: int = 1,
    mode: str = "octet",
    sources: Sequence[str] = (),
    limit: float = 60.0,
) -> list[Download]:
    """Let many clients download at once in a namespace, and wait until they are done or `limit` seconds are over.

    :raises lab.process.LabError: if the clients cannot be run.
    """
    said = namespace.run(
        *(sys.executable, "-m", "lab.network.tftp_client", server, name, str(content)),
        *("--clients", str(clients), "--blksize", str(blksize), "--windowsize", str(windowsize), "--mode", mode),
        *(word for source in sources for word in ("--from", source)),
        *("--limit", str(limit)),
        timeout=limit + 30.0,
    )
    return [Download(**json.loads(line)) for line in said.splitlines()]


class _Client:
    """One client."""

    def __init__(self, source: str, server: str, request: bytes, content: bytes, asked: dict[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((source, 0))
        self.result = Download()
        self.over = False
        self._content = content
        self._asked = asked
        self._server = server
        self._peer: tuple[str, int] | None = None
        self._request = request
        self._to = (server, PORT)
        self._received = 0
        """How many blocks came in order: the number of the next is one more, modulo 65536."""
        self._unacknowledged = 0
        """How many of them are not acknowledged yet."""
        self._gap_told = False
        self._begun_at = self._due_at = 0.0

    def begin(self, now: float) -> None:
        """Send the request."""
        self._begun_at = now
        self._send(self._request, now)

    def tick(self, now: float) -> None:
        """Repeat what was not answered."""
        if not self.over and now >= self._due_at:
            self.result.repeats += 1
            if self._peer is None:
                self._send(self._request, now)
            else:
                self._acknowledge(now)

    def readable(self, now: float) -> None:
        """Take what came."""
        result, buffer = self.result, _BUFFER
        while True:
            try:
                size, source = self.socket.recvfrom_into(buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(f"{error}")
                return
            if source[0] != self._server or (self._peer is not None and source != self._peer) or size < 4:
                result.strangers += 1
                continue
            opcode = buffer[1]
            if opcode == _DATA:
                self._answered(source)
                self._data(buffer[2] << 8 | buffer[3], buffer[4:size], now)
            elif opcode == _OACK:
                self._answered(source)
                self._oack(bytes(buffer[2:size]), now)
            elif opcode == _ERROR:
                text = bytes(buffer[4:size]).rstrip(b"\0").decode("utf-8", "replace")
                self._fail(f"ERROR {buffer[3]}: {text}")
            else:
                self._fail(f"opcode {opcode}")

    def _answered(self, source: tuple[str, int]) -> None:
        self._peer = self._to = source
        self.result.port = source[1]

    def _data(self, number: int, block: memoryview, now: float) -> None:
        result = self.result
        result.data += 1
        ahead = (number - self._received - 1 + 32768) % 65536 - 32768
        if ahead > 0:
            # RFC 7440 §4: a missing block is told by the ACK of the last before it, once.
            result.gaps += 1
            if not self._gap_told and not self.over:
                self._gap_told = True
                self._acknowledge(now)
            return
        if ahead < 0:
            result.duplicates += 1
            # The window comes again because its ACK was lost.  What comes again for the sake of a gap is not answered:
            # for each such ACK the server would go back once more.
            if ahead == -1 and not self._unacknowledged and not self._gap_told:
                self._acknowledge(now)
            return
        if self.over:
            self._fail(f"block {number} comes behind the last")
            return
        if not self._content.startswith(block, result.octets) or len(block) > result.blksize:
            self._fail(f"block {self._received + 1}, from octet {result.octets} on, is not as it should be")
            return
        self._received += 1
        self._unacknowledged += 1
        self._gap_told = False
        result.octets += len(block)
        last = len(block) < result.blksize
        if last or self._unacknowledged >= result.windowsize:
            self._acknowledge(now)
        else:
            self._due_at = now + _REPEAT
        if last:
            self.over = True
            result.seconds = now - self._begun_at
            missing = len(self._content) - result.octets
            result.error = f"{missing} octets are missing at the end" if missing else ""

    def _oack(self, options: bytes, now: float) -> None:
        if self._received:
            return
        words = options.decode("ascii", "replace").split("\0")
        if words.pop() != "" or len(words) % 2 or not words:
            self._fail(f"malformed OACK {options!r}")
            return
        for name, value in zip(words[::2], words[1::2], strict=True):
            asked = self._asked.get(name.lower())
            if asked is None or not value.isdigit() or not 1 <= int(value) <= asked:
                self._fail(f"OACK has {name}={value}, asked was {self._asked}")
                return
            setattr(self.result, name.lower(), int(value))
        self._acknowledge(now)

    def _acknowledge(self, now: float) -> None:
        self._unacknowledged = 0
        self._send(bytes([0, _ACK]) + (self._received & 0xFFFF).to_bytes(2), now)

    def _send(self, datagram: bytes, now: float) -> None:
        self._due_at = now + _REPEAT
        try:
            self.socket.sendto(datagram, self._to)
        except OSError as error:
            self._fail(f"{error}")

    def _fail(self, error: str) -> None:
        if not self.over or not self.result.error:
            self.result.error = error
        self.over = True


_BUFFER = memoryview(bytearray(65536))
"""What any client receives into: each is done with it before the next receives."""


def main() -> int:
    """Run the clients; the exit status is 0 whatever became of them."""
    parser = argparse.ArgumentParser(prog="python -m lab.network.tftp_client")
    parser.add_argument("server", type=lambda text: str(IPv4Address(text)))
    parser.add_argument("name")
    parser.add_argument("content", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--blksize", type=int, default=512)
    parser.add_argument("--windowsize", type=int, default=1)
    parser.add_argument("--mode", default="octet")
    parser.add_argument("--from", dest="sources", action="append")
    parser.add_argument("--limit", type=float, default=60.0)
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options = {"blksize": asked.blksize, "windowsize": asked.windowsize}
    options = {name: value for name, value in options.items() if value != getattr(Download(), name)}
    words = [asked.name, asked.mode, *(word for name, value in options.items() for word in (name, str(value)))]
    request = bytes([0, _RRQ]) + "".join(f"{word}\0" for word in words).encode()
    content = asked.content.read_bytes()
    sources = asked.sources or ["0.0.0.0"]
    clients = [
        _Client(sources[number % len(sources)], asked.server, request, content, options)
        for number in range(asked.clients)
    ]
    _run(clients, asked.limit)
    for client in clients:
        print(json.dumps(asdict(client.result)))
    return 0


def _run(clients: list[_Client], limit: float) -> None:
    """Let the clients work until all are over, or for `limit` seconds."""
    poll = select.epoll()
    owners = {client.socket.fileno(): client for client in clients}
    for descriptor in owners:
        poll.register(descriptor, select.EPOLLIN)
    end_at = time.monotonic() + limit
    for client in clients:
        client.begin(time.monotonic())
    looked_at = 0.0
    while (now := time.monotonic()) < end_at:
        for descriptor, _ in poll.poll(_TICK):
            owners[descriptor].readable(time.monotonic())
        if now - looked_at >= _TICK:
            looked_at = now
            for client in clients:
                client.tick(now)
            if all(client.over for client in clients):
                return


if __name__ == "__main__":
    sys.exit(main())
