"""A LAN in memory: what clients say, the server or proxy that answers them, and what it sends back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pixelboot.boot.machine import Machine
from pixelboot.boot.memory import Looping, Memory
from pixelboot.boot.policy import Assignment, Policy
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp import client
from pixelboot.dhcp.exchange import Exchange
from pixelboot.dhcp.message import relay, wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.neighbours import OtherServer
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Link, Parameters, Scope
from pixelboot.dhcp.outcomes import NotReturned
from pixelboot.dhcp.proxy.answer import answer as by_proxy
from pixelboot.dhcp.reception import Answering, Reception
from pixelboot.dhcp.server.probe import Prober
from pixelboot.dhcp.server.protocol import AddressServer
from pixelboot.dhcp.settings.dhcp import DhcpSettings, SubnetSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.leases.lease import Lease, Pool
from pixelboot.leases.memory import MemoryLeases
from pixelboot.leases.seam import LeaseStore
from pixelboot.outcome import Outcome
from tests.dhcp.server.sound import sound

SERVER = IPv4Address("10.77.0.1")
SECOND = IPv4Address("10.77.0.2")
"""Another address of ours on the same interface."""
STRANGER = IPv4Address("10.77.0.9")
"""Another DHCP server."""
RELAY = IPv4Address("10.77.0.3")
EVERYBODY = IPv4Address("255.255.255.255")
NOWHERE = IPv4Address(0)

SUBNET = SubnetSettings(
    network=IPv4Network("10.77.0.0/24"),
    pool=("10.77.0.100-10.77.0.150",),
    router=IPv4Address("10.77.0.254"),
    dns=(IPv4Address("10.77.0.53"), IPv4Address("10.77.0.54")),
    domain="lab.test",
    lease_time=600.0,
)
URL = "http://10.77.0.1:8080/boot.ipxe"
"""What everybody on a `Lan` is told to boot."""

OFFER_TIME = 60.0
DECLINE_TIME = 3600.0
PROXY_PORT = 4011


OWN = (SERVER, SECOND)
"""Our addresses on the interface."""


def settings(*subnets: SubnetSettings, **more: Any) -> DhcpSettings:
    """A site that serves these subnets; nothing is asked for on the wire, unless it is said."""
    site: dict[str, Any] = {"mode": "server", "subnet": subnets or (SUBNET,), "probe_time": 0.0, "reuse": 0.0}
    return DhcpSettings(**(site | {"offer_time": OFFER_TIME, "decline_time": DECLINE_TIME} | more))


def network(site: DhcpSettings, hosts: Sequence[HostSettings] = ()) -> Network:
    """The networks of a site on whose interface we have the addresses `OWN`."""
    found = Network(site, hosts)
    found.own(OWN)
    return found


def parameters(subnet: SubnetSettings = SUBNET) -> Parameters:
    """What the machines of a subnet are given."""
    [link] = network(settings(subnet)).links
    return link.subnets[0].parameters((), None)


def pool(subnet: SubnetSettings = SUBNET) -> Pool:
    """The addresses of a subnet."""
    [link] = network(settings(subnet)).links
    return link.pool


def address(last: int) -> IPv4Address:
    """10.77.0.`last`."""
    return IPv4Address(f"10.77.0.{last}")


def say(
    kind: MessageType | None, host: int = 1, /, options: Mapping[int, bytes] | None = None, **fields: Any
) -> Message:
    """What the client with the link address 02:aa:00:00:00:`host` sends; option 53 only when there is a `kind`."""
    first = {} if kind is None else {int(Option.MESSAGE_TYPE): bytes((kind,))}
    message = Message(
        op=wire.Op.REQUEST,
        xid=0x1000 + host,
        chaddr=bytes((2, 0xAA, 0, 0, 0, host)).ljust(16, b"\0"),
        options=first | dict(options or {}),
    )
    return message._replace(**fields)


def discover(host: int = 1, /, options: Mapping[int, bytes] | None = None, **fields: Any) -> Message:
    """A DISCOVER."""
    return say(MessageType.DISCOVER, host, options, **fields)


def select(host: int, wanted: IPv4Address, server: IPv4Address = SERVER, **fields: Any) -> Message:
    """The REQUEST that takes the offer of `wanted` made by `server`."""
    return say(
        MessageType.REQUEST,
        host,
        {Option.SERVER_IDENTIFIER: server.packed, Option.REQUESTED_ADDRESS: wanted.packed},
        **fields,
    )


def reboot(host: int, wanted: IPv4Address, **fields: Any) -> Message:
    """The REQUEST of a client that was restarted and remembers `wanted`."""
    return say(MessageType.REQUEST, host, {Option.REQUESTED_ADDRESS: wanted.packed}, **fields)


def renew(host: int, has: IPv4Address, **fields: Any) -> Message:
    """The REQUEST of a client that wants to keep the address it has."""
    return say(MessageType.REQUEST, host, ciaddr=has, **fields)


def arrival(
    now: float = 0.0, local: IPv4Address = SERVER, source: IPv4Address = NOWHERE, port: int = wire.SERVER_PORT
) -> Arrival:
    """How a request came in; to 4011 EDK2 sends from 4011."""
    source_port = wire.CLIENT_PORT if port == wire.SERVER_PORT else port
    return Arrival("lan0", local, port, source, source_port, now, source == NOWHERE, OWN)


def exchange(
    request: Message, boot_file: str | None = None, come: Arrival | None = None, site: DhcpSettings | None = None
) -> Exchange:
    """What is known when `request` is answered."""
    come = come or arrival()
    machine, profile = client.meet(request)
    added = request.options.get(Option.RELAY_AGENT_INFORMATION) if int(request.giaddr) else None
    information = None if added is None else relay.RelayInformation()
    scope = network(site or settings()).scope(request, machine, information, come)
    assert isinstance(scope, Scope), scope
    named = request.address(Option.SERVER_IDENTIFIER)
    server = named if named in OWN and named is not None else come.local
    assignment = Assignment(boot_file)
    return Exchange(request, come, machine, server, assignment, scope, information, profile.quirks, server)


class AnyPolicy:
    """Gives the same to everybody."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        return self.assignment


async def at_once() -> None:
    """Nothing to wait for."""


class Leases(MemoryLeases):
    """The lease table; where a durable store waits for its disk it awaits `turn`, which may raise `StoreFailed`."""

    def __init__(self, turn: Callable[[], Awaitable[None]] = at_once) -> None:
        super().__init__()
        self.table = self._table
        self.turn = turn

    async def _save(self, changes: Mapping[int, Lease | None]) -> None:
        await self.turn()


class Gate:
    """Something that takes as long as the test wants."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    def __call__(self) -> Deferred[None]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


class Wire:
    """A wire with a server on it, and everything that it sends, read back from its octets.

    Time is `now` and moved by hand; `clock` is for what waits meanwhile.
    """

    def __init__(
        self,
        site: DhcpSettings,
        policy: Policy | None = None,
        turn: Callable[[], Awaitable[None]] | None = None,
        hosts: Sequence[HostSettings] = (),
        prober: Prober | None = None,
    ) -> None:
        """`turn` is what the store of leases waits for instead of a disk."""
        self.now = 1_000_000.0
        self.clock = Clock()
        self.memory = Memory()
        self.site = site
        self.policy = policy or AnyPolicy(Assignment(URL))
        self.prober = prober
        self.outcomes: list[Outcome] = []
        self.noticed: list[Outcome] = []
        """What was said beside the outcome of an exchange: of other servers, of machines that go round and round."""
        self.sent: list[tuple[Message, Destination]] = []
        self.octets: list[bytes] = []
        self.network = network(site, hosts)
        self.leases = Leases(turn or at_once)
        self.table = self.leases.table
        self.reception = self.reception_over(self.leases)

    def reception_over(self, leases: LeaseStore) -> Reception:
        """A server with these leases."""
        report = self.report
        server = AddressServer(self.site, self.network, leases, self.memory, report, self.prober)
        answering = Answering(
            server.answer, lambda known: by_proxy(known, self.site.proxy_port), server.query, server.once_more
        )
        reception = Reception(self.site, self.network, self.policy, answering, report, self.clock)
        reception.own(OWN)
        return reception

    def report(self, outcome: Outcome) -> None:
        """Take an outcome."""
        if isinstance(outcome, OtherServer | Looping | NotReturned):
            self.noticed.append(outcome)
        else:
            self.outcomes.append(outcome)

    @property
    def link(self) -> Link:
        """The one link."""
        [link] = self.network.links
        return link

    def post(self, octets: bytes, destination: Destination, told: Callable[[OSError | None], None]) -> None:
        """See `pixelboot.dhcp.reception.Sender.post`."""
        self.octets.append(octets)
        self.sent.append((wire.decode(octets), destination))
        told(None)

    def arrive(self, datagram: Message | bytes, local: IPv4Address = SERVER, come: Arrival | None = None) -> None:
        """A datagram reaches the server at its address `local`, or as `come` says."""
        octets = datagram if isinstance(datagram, bytes) else wire.encode(datagram)
        self.reception.received(octets, come or arrival(self.now, local), self)

    def ask(
        self, datagram: Message | bytes, local: IPv4Address = SERVER, come: Arrival | None = None
    ) -> tuple[Message, Destination]:
        """The one reply to a request, and where it goes."""
        before = len(self.sent)
        self.arrive(datagram, local, come)
        replies = self.sent[before:]
        if len(replies) != 1:
            raise AssertionError(f"{len(replies)} replies; {[outcome.summary() for outcome in self.outcomes[-1:]]}")
        return replies[0]

    def silence(self, datagram: Message | bytes, come: Arrival | None = None) -> Outcome:
        """What came of a request that has no reply."""
        before = len(self.sent), len(self.outcomes)
        self.arrive(datagram, come=come)
        if len(self.sent) != before[0] or len(self.outcomes) != before[1] + 1:
            raise AssertionError(f"{self.sent[before[0] :]} {self.outcomes[before[1] :]}")
        return self.outcomes[-1]


class Lan(Wire):
    """One address server."""

    def __init__(
        self,
        *subnets: SubnetSettings,
        policy: Policy | None = None,
        turn: Callable[[], Awaitable[None]] | None = None,
        hosts: Sequence[HostSettings] = (),
        prober: Prober | None = None,
        **more: Any,
    ) -> None:
        """`more` are settings of ``[dhcp]``."""
        super().__init__(settings(*subnets, **more), policy, turn, hosts, prober)

    def arrive(self, datagram: Message | bytes, local: IPv4Address = SERVER, come: Arrival | None = None) -> None:
        """See `Wire.arrive`; a reply that comes at once has to keep to the clauses."""
        before = len(self.octets)
        super().arrive(datagram, local, come)
        for octets in self.octets[before:]:
            sound(datagram, octets)

    def offered(self, host: int = 1, /, options: Mapping[int, bytes] | None = None, **fields: Any) -> IPv4Address:
        """The address that the client is offered."""
        reply, _ = self.ask(discover(host, options, **fields))
        if reply.message_type is not MessageType.OFFER:
            raise AssertionError(reply)
        return reply.yiaddr

    def bound(self, host: int = 1, wanted: IPv4Address | None = None, **fields: Any) -> IPv4Address:
        """The address that the client gets by DISCOVER and REQUEST."""
        options: dict[int, bytes] = {} if wanted is None else {Option.REQUESTED_ADDRESS: wanted.packed}
        reply, _ = self.ask(select(host, self.offered(host, options, **fields), **fields))
        if reply.message_type is not MessageType.ACK:
            raise AssertionError(reply)
        return reply.yiaddr


class ProxyLan(Wire):
    """One proxy, at `SERVER`, with ports 67 and `PROXY_PORT`."""

    def __init__(self, policy: Policy | None = None, told: IPv4Address | None = None) -> None:
        super().__init__(DhcpSettings(address=told, proxy_port=PROXY_PORT), policy)

    def report(self, outcome: Outcome) -> None:
        """Take an outcome; beside a proxy another server is part of the story."""
        self.outcomes.append(outcome)
