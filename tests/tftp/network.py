"""A network in memory between the protocol and any number of clients; time is moved by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.tree import Absent, Asker, Forbidden
from pixelboot.outcome import Outcome
from pixelboot.tftp import wire
from pixelboot.tftp.protocol import Entrance, TftpProtocol
from pixelboot.tftp.settings import TftpSettings
from pixelboot.udp.batch.path import Path, Peer, packed, text
from pixelboot.udp.batch.path import octets as address_octets
from tests.tftp.peer import Client, Fate, Held, perfect

SERVER = IPv4Address("10.77.0.1")
SECOND = IPv4Address("10.77.0.2")
"""Another address of ours."""
CARD = HardwareAddress.parse("02:aa:00:00:00:01")
MACHINES = {IPv4Address("10.77.0.101"): CARD}

_TOLD = struct.Struct("=I4s4s")

MOST_EVENTS = 50_000
"""What takes more does not end."""

SMALL = b"a" * 100
LARGE = bytes(range(256)) * 20  # Ten full blocks of 512 octets, and an empty one.
FILES = {"small": SMALL, "large": LARGE, "empty": b""}


def host(last: int) -> str:
    """10.77.0.`last`."""
    return f"10.77.0.{last}"


def peer(address: str, port: int = 2000) -> Peer:
    """A client as the kernel names it."""
    return packed(IPv4Address(address), port)


def source(path: Path) -> IPv4Address | None:
    """The address of ours that is sent from on this way; None if that is left to the system."""
    for _level, _kind, said in path.control:
        return IPv4Address(_TOLD.unpack(said)[1])
    return None


def rrq(name: str, **options: int) -> bytes:
    """A request for a file in octet mode."""
    return wire.read_request(name, "octet", [(option, str(value)) for option, value in options.items()])


class Kept(Held):
    """A payload that knows whether it was given back."""

    closed = 0

    def __init__(self, octets: bytes, shared: Held | None = None) -> None:
        """`shared` has the octets for others as well."""
        super().__init__(octets)
        self._shared = shared

    @property
    def origin(self) -> Held:
        return self._shared or self

    def close(self) -> None:
        self.closed += 1


class Bug(Kept):
    """A payload with a mistake in it."""

    def read(self, offset: int, size: int) -> bytes:
        raise ZeroDivisionError


class Network:
    """The protocol, its files, and the way to its clients.

    Besides `FILES` there are ``absent``, ``forbidden``, ``unreadable`` and ``bug``, which cannot be opened for one
    reason or another; ``slow``, which is opened when `arrive` says so; ``stubborn``, which is the same but cannot be
    called off; and ``wrong``, whose payload raises what none should.
    """

    def __init__(
        self,
        settings: TftpSettings | None = None,
        fate: Fate = perfect,
        *,
        remembers: bool = False,
        pinned: bool = True,
        mixed: bool = False,
    ) -> None:
        """`remembers` is whether what need not be waited for is known at once; `mixed`, whether there is one port."""
        self.clock = Clock()
        self.outcomes: list[Outcome] = []
        self.sent: list[tuple[Path, bytes]] = []
        """Everything that the server sent."""
        self.payloads: list[Kept] = []
        """Every payload that was opened."""
        self.shared: dict[str, Held] = {}
        """What all payloads of a name have in common."""
        self.asked: list[str] = []
        """The name in every attempt to open a file."""
        self.askers: list[Asker] = []
        """Who asked for each."""
        self.waiting: list[Deferred[None]] = []
        self.unreachable: set[str] = set()
        """Addresses to which nothing can be sent."""
        self.protocol = TftpProtocol(settings or TftpSettings(), self, self.outcomes.append, MACHINES.get, self.clock)
        self._entrance = Entrance(self, pinned)
        self._remembers = remembers
        self._mixed = mixed
        self._gathers = False
        self._troubles: list[tuple[Path, OSError]] = []
        self._fate = fate
        self._clients: dict[Peer, Client] = {}
        self._counts = {"server": 0, "client": 0}

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Kept | None:
        """What is known of the files at once."""
        if not self._remembers or name in ("slow", "stubborn"):
            return None
        self.asked.append(name)
        self.askers.append(asker)
        return self._opened(name)

    async def open(self, name: str, asker: Asker) -> Kept:
        """The files."""
        self.asked.append(name)
        self.askers.append(asker)
        match name:
            case "slow":
                self.waiting.append(Deferred())
                await self.waiting[-1]
            case "stubborn":
                for _ in range(2):
                    self.waiting.append(Deferred())
                    try:
                        await self.waiting[-1]
                        break
                    except CancelledError:
                        continue
        return self._opened(name)

    def _opened(self, name: str) -> Kept:
        match name:
            case "absent":
                raise Absent("there is no such file")
            case "forbidden":
                raise Forbidden("it is outside")
            case "unreadable":
                raise OSError(5, "Input/output error")
            case "bug":
                raise ZeroDivisionError
        octets = FILES.get(name, SMALL)
        payload = Bug(SMALL) if name == "wrong" else Kept(octets, self.shared.setdefault(name, Held(octets)))
        self.payloads.append(payload)
        return payload

    def arrive(self) -> None:
        """What is waited for can be opened now."""
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)

    # The server's side.

    def send(self, datagrams: Sequence[bytes], path: Path) -> None:
        """What the data port does: what cannot be sent is told when all that came together was gone through."""
        if text(address_octets(path.peer)) in self.unreachable:
            self._troubles.append((path, OSError(101, "Network is unreachable")))
            if not self._gathers:
                self._flush()
            return
        for octets in datagrams:
            self.sent.append((path, octets))
            client = self._clients.get(path.peer)
            if client is not None:
                for delay in self._lot("server", octets):
                    self.clock.callLater(delay, self._to_client, path.peer, client, octets)

    def send_singles(self, packets: list[bytes], paths: list[Path]) -> None:
        """One datagram each to several peers."""
        for octets, path in zip(packets, paths, strict=True):
            self.send([octets], path)

    def send_all(self, answers: Iterable[tuple[Sequence[bytes], Path]]) -> None:
        """The same to several peers."""
        for packets, path in answers:
            self.send(packets, path)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent meanwhile leaves together."""
        outer, self._gathers = self._gathers, True
        yield
        self._gathers = outer
        if not outer:
            self._flush()

    def _flush(self) -> None:
        troubles, self._troubles = self._troubles, []
        for path, problem in troubles:
            self.protocol.not_sent(path, problem)

    # The clients' side.

    def request(
        self, octets: bytes, address: str, port: int = 2000, local: IPv4Address = SERVER, *, to_everybody: bool = False
    ) -> None:
        """A datagram to the request port, now."""
        sent_to = IPv4Address("10.77.0.255") if to_everybody else local
        take = self.protocol.mixed if self._mixed else self.protocol.requested
        with self.together():
            take([(octets, peer(address, port), _TOLD.pack(2, local.packed, sent_to.packed))], self._entrance)

    def say(self, octets: bytes, address: str, port: int = 2000) -> None:
        """A datagram to the data port, now."""
        self._say(octets, peer(address, port))

    def _say(self, octets: bytes, sender: Peer) -> None:
        with self.together():
            if self._mixed:
                told = _TOLD.pack(2, SERVER.packed, SERVER.packed)
                self.protocol.mixed([(octets, sender, told)], self._entrance)
            else:
                self.protocol.received([(octets, sender, b"")], self._entrance)

    def download(self, name: str, address: str, port: int = 2000, **options: int) -> Client:
        """A client that begins to read a file."""
        client = Client(options.get("blksize", 512), options.get("windowsize", 1))
        self._clients[peer(address, port)] = client
        self._ask(rrq(name, **options), address, port, client, 5)
        return client

    def _ask(self, octets: bytes, address: str, port: int, client: Client, tries: int) -> None:
        """The request, and again if nothing comes."""
        if client.deadline is None and not client.done and client.error is None and tries:
            for delay in self._lot("client", octets):
                self.clock.callLater(delay, self.request, octets, address, port)
            self.clock.callLater(client.wait, self._ask, octets, address, port, client, tries - 1)

    def _to_client(self, receiver: Peer, client: Client, octets: bytes) -> None:
        self._from_client(receiver, client, client.received(octets, self.clock.seconds()))

    def _from_client(self, sender: Peer, client: Client, packets: list[bytes]) -> None:
        for octets in packets:
            for delay in self._lot("client", octets):
                self.clock.callLater(delay, self._say, octets, sender)
        if client.deadline is not None:
            self.clock.callLater(
                client.deadline - self.clock.seconds(), self._client_waited, sender, client, client.deadline
            )

    def _client_waited(self, sender: Peer, client: Client, deadline: float) -> None:
        if client.deadline == deadline:
            self._from_client(sender, client, client.expired(self.clock.seconds()))

    def _lot(self, sender: str, octets: bytes) -> list[float]:
        self._counts[sender] += 1
        return self._fate(sender, self._counts[sender] - 1, octets)

    # Time.

    def settle(self, until: float = float("inf")) -> None:
        """Let everybody go on until nothing is left to do, or the clock shows `until`."""
        for _ in range(MOST_EVENTS):
            calls = self.clock.getDelayedCalls()
            first = min((call.getTime() for call in calls), default=float("inf"))
            if first > until or not calls:
                break
            self.clock.advance(max(0.0, first - self.clock.seconds()))
        else:
            raise AssertionError(f"this does not end; {len(self.sent)} packets, {self.outcomes[-3:]}")
        if until != float("inf"):
            self.clock.advance(max(0.0, until - self.clock.seconds()))

    # What came of it.

    def kinds(self) -> list[str]:
        """The kinds of outcome reported, in order."""
        return [type(outcome).__name__ for outcome in self.outcomes]

    def said_to(self, address: str, port: int = 2000) -> list[wire.Packet]:
        """What the server has said to one peer."""
        return [wire.decode(octets) for path, octets in self.sent if path.peer == peer(address, port)]

    def leftovers(self) -> list[object]:
        """Transfers, timers and open payloads; empty when all is over."""
        open_ones = [payload for payload in self.payloads if not payload.closed]
        return [*range(self.protocol.transfers()), *self.clock.getDelayedCalls(), *open_ones]


class NetworkCase(SynchronousTestCase):
    """A server in memory."""

    def setUp(self) -> None:
        self.lan = Network()

    def assert_over(self, *kinds: str, lan: Network | None = None) -> None:
        """All of it has ended so, and nothing is left: no transfer, timer or open payload."""
        lan = lan or self.lan
        lan.settle()
        self.assertEqual(lan.kinds(), list(kinds))
        self.assertEqual(lan.leftovers(), [])

    def assert_error(self, code: int, address: str, port: int = 2000) -> None:
        """The only thing that this peer was told is an ERROR."""
        said = self.lan.said_to(address, port)
        self.assertEqual([packet.code for packet in said if isinstance(packet, wire.Error)], [code])
        self.assertEqual(len(said), 1, said)
