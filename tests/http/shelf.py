"""What the tests of HTTP share: a library in memory, a service over it, and a client that sends any octets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from pixelboot.boot.hosts import HostStore
from pixelboot.http.connection.channel import Answerer, BootChannel
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.connection.site import BootSite
from pixelboot.http.exchange import Shared
from pixelboot.http.routes import BootRoot, ChoicesNow, Library, Tree, undecided
from pixelboot.http.service import HttpService
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.catalog import Container
from pixelboot.library.library import Unavailable
from pixelboot.library.tree import Absent, Asker
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload, strong_etag

MODIFIED_AT = 1_750_000_000.25
NOW = 1_750_086_400.0
KERNEL = bytes(range(256)) * 4
INITRD = hashlib.sha512(b"seed").digest() * 10_000
MACHINE = HardwareAddress.parse("02:aa:00:00:00:01")

DEMO = Container(
    id="demo",
    file_name="demo.rts.png",
    size=700_000,
    modified_at=MODIFIED_AT,
    state="ready",
    reason="",
    name="Demo ${net0/mac}\nchain evil",
    description="<script>",
    distro="Debian",
    architecture="x86_64",
    kernel_version="6.1",
    cmdline="quiet",
    parts=(("kernel", len(KERNEL)), ("initrd", len(INITRD))),
    labels=("vmlinuz", "initrd"),
    format="PixelRTS-2.0",
    type="live",
    signer="ab" * 32,
)


class Octets:
    """A payload in memory, which can be made shorter, or break, while it is served."""

    modified_at = MODIFIED_AT

    def __init__(self, octets: bytes, media_type: str = "application/octet-stream") -> None:
        self.octets = octets
        self.size = len(octets)
        self.media_type = media_type
        self.closed = 0
        self.error: OSError | None = None

    @property
    def origin(self) -> Payload:
        """As `Payload.origin`."""
        return self

    @property
    def is_final(self) -> bool:
        """As `Payload.is_final`."""
        return False

    @property
    def known_etag(self) -> str | None:
        """As `Payload.known_etag`."""
        return strong_etag(hashlib.sha256(self.octets).hexdigest())

    async def etag(self) -> str | None:
        """As `Payload.etag`."""
        return self.known_etag

    def verify(self) -> None:
        """As `Payload.verify`."""
        if self.error is not None:
            raise self.error

    def read(self, offset: int, size: int) -> bytes:
        """As `Payload.read`."""
        if self.error is not None:
            raise self.error
        return self.octets[offset : offset + size]

    def fileno(self) -> None:
        """As `Payload.fileno`."""

    def close(self) -> None:
        """As `Payload.close`."""
        self.closed += 1


@dataclass
class Shelf:
    """A library in memory."""

    containers: Sequence[Container] = (DEMO,)
    """Replaced, never changed in place."""
    kernel: Octets = field(default_factory=lambda: Octets(KERNEL))
    initrd: Octets = field(default_factory=lambda: Octets(INITRD))
    image: Octets = field(default_factory=lambda: Octets(b"\x89PNG whatever", "image/png"))
    decoding: Deferred[None] | None = None
    """Set to make `part` wait."""
    unavailable: Exception | None = None
    """Set to make `part` and `picture` fail."""

    async def settled(self, patience: float) -> Sequence[Container]:
        """The catalogue at once."""
        return self.containers

    def find(self, id: str) -> Container | None:  # noqa: A002
        """As `Library.find`."""
        return next((container for container in self.containers if container.id == id), None)

    async def part(self, id: str, name: str) -> Payload:  # noqa: A002
        """As `Library.part`."""
        if self.unavailable is not None:
            raise self.unavailable
        if self.decoding is not None:
            await self.decoding
        return self.initrd if name == "initrd" else self.kernel

    def part_at_hand(self, id: str, name: str) -> None:  # noqa: A002
        """As `Library.part_at_hand`: always to be waited for."""

    def picture_at_hand(self, file_name: str) -> None:
        """As `Library.picture_at_hand`."""

    def part_digests(self, id: str) -> Mapping[str, str]:  # noqa: A002
        """As `Library.part_digests`."""
        container = self.find(id)
        ready = container is not None and container.state == "ready"
        return {"kernel": hashlib.sha256(self.kernel.octets).hexdigest(), "initrd": "ab" * 32} if ready else {}

    def picture_digest(self, file_name: str) -> str | None:
        """As `Library.picture_digest`; of one it is not known."""
        return None if file_name == "new.rts.png" else hashlib.sha256(self.image.octets).hexdigest()

    async def picture(self, file_name: str) -> Payload:
        """As `Library.picture`."""
        if self.unavailable is not None:
            raise self.unavailable
        if file_name not in [container.file_name for container in self.containers]:
            raise Unavailable("it is not here")
        return self.image


class Bare:
    """A tree in which there is nothing."""

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> None:
        """As `Tree.at_hand`."""

    async def open(self, name: str, asker: Asker) -> Payload:
        """As `Tree.open`."""
        raise Absent("there is no such file")


def damaged(id: str, reason: str) -> Container:  # noqa: A002
    """A container that cannot be booted."""
    return replace(DEMO, id=id, file_name=f"{id}.rts.png", state="damaged", reason=reason)


@dataclass
class Response:
    """What came back."""

    status: int
    version: str
    headers: dict[str, str]
    body: bytes


class Client(Protocol):
    """A connection on which a test writes octets and reads responses."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False
        self._waiting: list[Deferred[None]] = []

    def dataReceived(self, data: bytes) -> None:
        """Collect."""
        self.received += data
        self._wake()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The end."""
        self.lost = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so, or the connection is lost."""
        while not ready() and not self.lost:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    def write(self, octets: bytes) -> None:
        """Send."""
        assert self.transport is not None
        self.transport.write(octets)

    def pause(self) -> None:
        """Read no more."""
        self.transport.pauseProducing()  # type: ignore[union-attr]

    def resume(self) -> None:
        """Read on."""
        self.transport.resumeProducing()  # type: ignore[union-attr]

    def abort(self) -> None:
        """Reset the connection."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    async def ask(self, octets: bytes) -> Response:
        """Send a request, and read its response."""
        self.write(octets)
        return await self.response(bodiless=octets.startswith(b"HEAD"))

    async def response(self, bodiless: bool = False) -> Response:
        """Read one response, strictly by its Content-Length."""
        await self.until(lambda: b"\r\n\r\n" in self.received)
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        assert separator, f"no response, only {bytes(self.received)!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines), f"a field twice: {lines}"
        assert all(headers.values()), f"an empty field: {lines}"
        size = 0 if bodiless or status == "304" else int(headers["Content-Length"])
        self.received = rest
        await self.until(lambda: len(self.received) >= size)
        body = bytes(self.received[:size])
        del self.received[:size]
        return Response(int(status), version, headers, body)

    async def end(self) -> bytes:
        """Read until the server closes."""
        await self.until(lambda: False)
        return bytes(self.received)


class HttpCase(TestCase):
    """A service on loopback, over a shelf in memory."""

    timeout = 20

    async def serve(
        self,
        library: Library | None = None,
        tree: Tree | None = None,
        ranges: bool = True,
        choices: ChoicesNow = undecided,
        hosts: HostStore | None = None,
        others: Answerer | None = None,
        limits: LimitSettings | None = None,
    ) -> int:
        """Start a service; its port.  It is stopped, and everything checked to be gone, when the test ends."""
        from twisted.internet import reactor

        self.outcomes: list[Outcome] = []
        self.site = site(library or Shelf(), self.outcomes, reactor, tree, ranges, choices, hosts, others, limits)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.service = HttpService([endpoint], self.site)
        await self.service.listen()
        self.service.startService()
        self.addCleanup(self._stop)
        port = self.service.port
        assert port is not None
        return port

    async def _stop(self) -> None:
        await self.service.stopService()
        self.assertEqual(self.service.connections, 0)

    async def connect(self, port: int) -> Client:
        """A connection to the service; closed when the test ends."""
        endpoint = TCP4ClientEndpoint(global_reactor, "127.0.0.1", port)
        client: Client = await connectProtocol(endpoint, Client())

        async def close() -> None:
            assert client.transport is not None
            client.transport.loseConnection()
            await client.end()

        self.addCleanup(close)
        return client

    def lines(self) -> list[str]:
        """The summaries of all outcomes so far."""
        return [outcome.summary() for outcome in self.outcomes]


def site(
    library: Library,
    outcomes: list[Outcome],
    clock: IReactorTime,
    tree: Tree | None = None,
    ranges: bool = True,
    choices: ChoicesNow = undecided,
    hosts: HostStore | None = None,
    others: Answerer | None = None,
    limits: LimitSettings | None = None,
) -> BootSite:
    """A site over `library` and `tree`; 127.0.0.1 is `MACHINE`."""

    def machine_at(address: IPv4Address) -> HardwareAddress | None:
        return MACHINE if str(address) == "127.0.0.1" else None

    shared = Shared(clock, lambda: NOW, outcomes.append, machine_at, ranges)
    root = BootRoot(shared, library, tree or Bare(), "demo", 5.0, choices, hosts, others)
    return BootSite(root, outcomes.append, clock, wall=lambda: NOW, limits=limits)


class Narrow(StringTransport):
    """A transport in memory that is full after every write until `drain` is called."""

    def __init__(self, peer: IAddress | None = None) -> None:
        super().__init__(peerAddress=peer)
        self.aborted = False

    def write(self, data: bytes) -> None:
        """Take it, and ask for no more."""
        super().write(data)
        if self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Take them, and ask for no more."""
        self.write(b"".join(data))

    def drain(self) -> None:
        """The kernel has taken everything."""
        if self.producer is not None:
            self.producer.resumeProducing()

    def abortConnection(self) -> None:
        """Note it."""
        self.aborted = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to do in memory."""


def connected(to: BootSite, peer: IAddress | None = None) -> tuple[BootChannel, Narrow]:
    """A connection in memory."""
    channel = to.buildProtocol(None)
    assert isinstance(channel, BootChannel)
    transport = Narrow(peer)
    channel.makeConnection(transport)
    return channel, transport


def get(target: str, *fields: str, method: str = "GET", host: str = "Host: x") -> bytes:
    """A request."""
    lines = (f"{method} {target} HTTP/1.1", host, *fields)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
