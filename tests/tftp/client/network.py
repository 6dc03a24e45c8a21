"""Clients that talk with the server's own transfers, through a network in memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from pixelboot.tftp import wire
from pixelboot.tftp.client.conversation import Conversation
from pixelboot.tftp.client.ending import Peer
from pixelboot.tftp.negotiate import BLKSIZE, Limits, Terms, negotiate
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.image import Image, NetasciiImage
from pixelboot.tftp.read.pool import Pool
from pixelboot.tftp.read.transfer import ReadTransfer
from pixelboot.tftp.write.transfer import WriteTransfer
from tests.tftp.peer import Fate, Held, perfect

SERVER = ("192.0.2.1", 69)
LIMITS = Limits(65464, 64)
PATIENCE = Patience()
MOST_EVENTS = 100_000
"""A dialogue that takes more is one that does not end."""


class Transfer(Protocol):
    """One end of the server's."""

    @property
    def deadline(self) -> float | None:
        """When to call `expired`."""

    def start(self, now: float) -> list[bytes]:
        """Begin."""

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """A datagram of the client."""

    def expired(self, now: float) -> list[bytes]:
        """The deadline has passed."""


class Keeper:
    """A `WriteTransfer` whose disk takes everything at once."""

    def __init__(self, transfer: WriteTransfer) -> None:
        self.transfer = transfer
        self.octets = bytearray()
        """What was written."""

    @property
    def deadline(self) -> float | None:
        return self.transfer.deadline

    def start(self, now: float) -> list[bytes]:
        return self.transfer.start(now)

    def received(self, octets: bytes, now: float) -> list[bytes]:
        return self.transfer.received(octets, now) + self._write(now)

    def expired(self, now: float) -> list[bytes]:
        return self.transfer.expired(now)

    def _write(self, now: float) -> list[bytes]:
        if self.transfer.ending is not None:
            return []
        self.octets += self.transfer.take()
        answers = self.transfer.stored(len(self.octets), now)
        return answers + (self.transfer.kept(now) if self.transfer.whole else [])


Begin = Callable[[wire.Packet], Transfer | bytes]
"""What a request brings: a transfer, or an answer and no more."""


def reading(octets: bytes, limits: Limits = LIMITS, *, rollover: int = 0) -> Begin:
    """A server that has one file, under every name."""

    def begin(request: wire.Packet) -> Transfer:
        assert isinstance(request, wire.ReadRequest), request
        terms = negotiate(request, len(octets), limits)
        kind = NetasciiImage if terms.netascii else Image
        image = kind(Held(octets), terms.blksize, Pool(1 << 22), 65536 - rollover)
        return ReadTransfer("a", image, terms, PATIENCE, rollover=rollover)

    return begin


def writing(limits: Limits = LIMITS, *, rollover: int = 0) -> Begin:
    """A server that takes every file."""

    def begin(request: wire.Packet) -> Transfer:
        assert isinstance(request, wire.WriteRequest), request
        asked = dict(request.options)
        agreed = [(name, asked[name]) for name in asked if name not in limits.refused]
        terms = Terms(
            int(dict(agreed).get("blksize", BLKSIZE)),
            int(dict(agreed).get("windowsize", 1)),
            netascii=request.mode == "netascii",
            agreed=tuple(agreed),
        )
        size = int(asked["tsize"]) if "tsize" in asked else None
        return Keeper(WriteTransfer("a", terms, PATIENCE, most=1 << 30, size=size, rollover=rollover))

    return begin


class Network:
    """A client, a server that gives every transfer a port of its own, and what lies between them."""

    def __init__(self, client: Conversation, begin: Begin, fate: Fate = perfect, *, doubles: bool = False) -> None:
        """With `doubles` a request that comes twice is a transfer twice, as with servers that do not look."""
        self.client = client
        self.transfers: dict[int, Transfer] = {}
        """The transfers, by their ports."""
        self.said: list[tuple[str, Peer, bytes]] = []
        """Everything that was sent: by whom, from or to which port of the server's, and what."""
        self._begin = begin
        self._fate = fate
        self._doubles = doubles
        self._requests: set[bytes] = set()
        self._events: list[tuple[float, int, str, Peer, bytes]] = []
        self._counts = {"server": 0, "client": 0}
        self._next_port = 1024
        self.now = 0.0

    def run(self, heard: Callable[[], object] = lambda: None) -> None:
        """Let them talk until nothing is left to do; `heard` is called after everything that the client heard."""
        self._client(self.client.start(self.now))
        for _ in range(MOST_EVENTS):
            deadlines = [(self.client.deadline, 0), *((one.deadline, port) for port, one in self.transfers.items())]
            timers = [(deadline, port) for deadline, port in deadlines if deadline is not None]
            if self._events and (not timers or self._events[0][0] <= min(timers)[0]):
                self.now, _, receiver, peer, octets = heapq.heappop(self._events)
                if receiver == "client":
                    self._client(self.client.received(octets, peer, self.now))
                    heard()
                else:
                    self._server(octets, peer[1])
            elif timers:
                self.now, port = min(timers)
                if port:
                    self._answer(port, self.transfers[port].expired(self.now))
                else:
                    self._client(self.client.expired(self.now))
            else:
                return
        raise AssertionError(f"the dialogue does not end; {len(self.said)} packets, {self.client.ending}")

    def _server(self, octets: bytes, port: int) -> None:
        if port != SERVER[1]:
            self._answer(port, self.transfers[port].received(octets, self.now))
            return
        if octets in self._requests and not self._doubles:
            return
        self._requests.add(octets)
        self._next_port += 1
        begun = self._begin(wire.decode(octets))
        if isinstance(begun, bytes):
            self._answer(self._next_port, [begun])
        else:
            self.transfers[self._next_port] = begun
            self._answer(self._next_port, begun.start(self.now))

    def _client(self, datagrams: list[tuple[bytes, Peer]]) -> None:
        for octets, peer in datagrams:
            self._send("client", octets, peer)

    def _answer(self, port: int, packets: list[bytes]) -> None:
        for octets in packets:
            self._send("server", octets, (SERVER[0], port))

    def _send(self, sender: str, octets: bytes, peer: Peer) -> None:
        self.said.append((sender, peer, octets))
        receiver = "client" if sender == "server" else "server"
        for delay in self._fate(sender, self._counts[sender], octets):
            heapq.heappush(self._events, (self.now + delay, len(self.said), receiver, peer, octets))
        self._counts[sender] += 1
