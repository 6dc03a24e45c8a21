"""The other side of a transfer: payloads, an obedient client, and a network that loses, doubles and delays."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.image import Images
from pixelboot.tftp.read.pool import Pool
from pixelboot.tftp.read.transfer import ReadTransfer, in_step

LATENCY = 0.005
"""Seconds from one side to the other."""

MOST_EVENTS = 20_000
"""A dialogue that takes more is one that does not end."""

POOL = 1 << 20
"""Octets of packets that are kept."""

Fate = Callable[[str, int, bytes], list[float]]
"""What the network does with a packet: ``server`` or ``client`` (who sent it), its number counted from 0, its octets;
the delay in seconds of each copy that arrives."""


class Held:
    """Octets in memory as a `pixelboot.payload.Payload`; can be made to fail."""

    media_type = "application/octet-stream"
    modified_at = None
    is_final = True
    known_etag = '"0"'

    def __init__(self, octets: bytes, *, fails_at: int | None = None, ends_at: int | None = None) -> None:
        """Reading at or beyond `fails_at` is an OSError; from `ends_at` on there is nothing to read."""
        self._octets = octets
        self._fails_at = fails_at
        self._ends_at = ends_at
        self.reads: list[tuple[int, int]] = []
        """Offset and size of every read."""

    @property
    def size(self) -> int:
        return len(self._octets)

    @property
    def origin(self) -> Held:
        return self

    async def etag(self) -> str:
        return self.known_etag

    def verify(self) -> None:
        return None

    def read(self, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        if self._fails_at is not None and offset + size > self._fails_at:
            raise OSError(116, "the file was changed while it was read")
        return self._octets[: self._ends_at][offset : offset + size]

    def cut(self, size: int) -> None:
        """The file is truncated; its size was looked at when it was opened."""
        self._ends_at = size

    def fileno(self) -> None:
        return None

    def close(self) -> None:
        return None


class Client:
    """Reads a file as RFC 1350, 2347 and 7440 say: datagrams and the time in, datagrams out.

    `complaints` is what it does about a block that is not the next: ``always`` the last ACK again for every one, as
    EDK2 does; ``once`` for every gap; ``never``, waiting for the server.  In lock-step it acknowledges every copy of a
    block that it has, as RFC 1350 asks.
    """

    def __init__(
        self, blksize: int = 512, windowsize: int = 1, *, complaints: str = "once", rollover: int = 0, wait: float = 3.0
    ) -> None:
        self.blksize = blksize
        self.windowsize = windowsize
        self.complaints = complaints
        self.rollover = rollover
        self.wait = wait
        self.octets = bytearray()
        """What has come, in order."""
        self.done = False
        """Whether the last block has come."""
        self.error: wire.Error | None = None
        """The ERROR that was received."""
        self.granted: wire.Options = ()
        """The options of the OACK."""
        self.deadline: float | None = None
        self._block = 0  # The last block received in order, counted without end.
        self._since = 0  # Blocks since the last ACK.
        self._complained = False
        self._tries = 0

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """A datagram of the server."""
        packet = wire.decode(octets)
        self._tries = 0
        if isinstance(packet, wire.Error):
            self.error, self.deadline = packet, None
            return []
        if isinstance(packet, wire.OptionAck):
            self.granted = packet.options
            return self._ack(now) if not self._block else []
        assert isinstance(packet, wire.Data), packet
        if self.done or packet.block != self._number(self._block + 1):
            return self._unexpected(packet.block, now)
        assert len(packet.octets) <= self.blksize
        self.octets += packet.octets
        self._block += 1
        self._since += 1
        self._complained = False
        self.done = len(packet.octets) < self.blksize
        if self.done or self._since >= self.windowsize:
            return self._ack(now)
        self.deadline = now + self.wait
        return []

    def expired(self, now: float) -> list[bytes]:
        """Nothing came in time: the last ACK again, a few times."""
        self._tries += 1
        if self.done or self._tries > 20:
            self.deadline = None
            return []
        return self._ack(now)

    def _unexpected(self, block: int, now: float) -> list[bytes]:
        old = (self._block - block) % 65536 < 32768
        if self.windowsize == 1:
            return [wire.ack(block)] if old and self._block else []
        if self.complaints == "always" or (self.complaints == "once" and not self._complained):
            self._complained = True
            return self._ack(now)
        return self._ack(now) if self.done else []

    def _ack(self, now: float) -> list[bytes]:
        self._since = 0
        self.deadline = None if self.done else now + self.wait
        return [wire.ack(self._number(self._block))]

    def _number(self, block: int) -> int:
        return (block - 1) % 65535 + 1 if self.rollover and block else block % 65536


def perfect(sender: str, number: int, octets: bytes) -> list[float]:
    """The network in which everything arrives once."""
    return [LATENCY]


def seeded(seed: int, loss: float, doubling: float, jitter: float) -> Fate:
    """A network of chance that is the same every time; `jitter` seconds at most are added, so that packets overtake."""
    chance = random.Random(seed)

    def fate(sender: str, number: int, octets: bytes) -> list[float]:
        if chance.random() < loss:
            return []
        copies = 2 if chance.random() < doubling else 1
        return [LATENCY + jitter * chance.random() for _ in range(copies)]

    return fate


def reading(
    payload: Held, terms: Terms, patience: Patience, rollover: int = 0, images: Images | None = None
) -> ReadTransfer:
    """A transfer of this payload; it shares `images` with others, or nothing with nobody."""
    images = images or Images(Pool(POOL), 65535 if rollover else 65536)
    image = images.of(payload, terms.blksize, netascii=terms.netascii)
    return ReadTransfer("a", image, terms, patience, rollover=rollover)


@dataclass
class Member:
    """A transfer as `pixelboot.tftp.read.transfer.in_step` knows it."""

    reading: ReadTransfer
    path: str = "the way"
    looked_at: float = 0.0


def hear(transfer: ReadTransfer, octets: bytes, now: float) -> list[bytes]:
    """What the transfer answers: the short way if that answers it, as in the server, and else the long one."""
    unheard = not transfer.is_heard
    packets, ways, noted, others = in_step([(octets, b"", b"")], {b"": Member(transfer)}, now)
    ended = not others and transfer.ending is not None
    assert len(packets) == len(ways) == 1 - len(others) - ended, (packets, others)
    assert bool(noted) == (ended or (unheard and transfer.is_heard)), noted
    return transfer.received(octets, now) if others else packets


def dialogue(transfer: ReadTransfer, client: Client, fate: Fate = perfect) -> list[tuple[str, bytes]]:
    """Let both talk until nothing is left to do; everything that was sent, by whom, in order."""
    events: list[tuple[float, int, str, bytes]] = []
    said: list[tuple[str, bytes]] = []
    counts = {"server": 0, "client": 0}
    now = 0.0

    def send(sender: str, packets: list[bytes]) -> None:
        for octets in packets:
            said.append((sender, octets))
            for delay in fate(sender, counts[sender], octets):
                receiver = "client" if sender == "server" else "server"
                heapq.heappush(events, (now + delay, len(said), receiver, octets))
            counts[sender] += 1

    send("server", transfer.start(now))
    for _ in range(MOST_EVENTS):
        timers = [(side.deadline, name) for side, name in ((transfer, "server"), (client, "client")) if side.deadline]
        if events and (not timers or events[0][0] <= min(timers)[0]):
            now, _, receiver, octets = heapq.heappop(events)
            send(receiver, client.received(octets, now) if receiver == "client" else hear(transfer, octets, now))
        elif timers:
            now, name = min(timers)
            send(name, (client if name == "client" else transfer).expired(now))
        else:
            return said
    raise AssertionError(f"the dialogue does not end; {len(said)} packets, {transfer.ending}")
